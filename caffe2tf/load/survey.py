"""A network as a table, sound or not: what every layer gives and costs, and all that stands in the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from caffe2tf.errors import Caffe2TFError, NetworkError, Problem
from caffe2tf.ir import Graph, Node, Shape
from caffe2tf.load.loader import Builder
from caffe2tf.load.selection import select_layers
from caffe2tf.load.weights import pair_weights
from caffe2tf.parse import NetworkDefinition, WeightSource

__all__ = ["Row", "Survey", "survey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One layer.

    Attributes:
        name: Caffe's layer name.
        type: Caffe's layer type.
        bottoms: blobs it reads.
        tops: blobs it writes.
        shapes: of the tops, in Caffe's axis order; None where the layer is not understood.
        parameters: trained values.
        multiply_adds: of one forward pass; None where the layer is not understood.
        line: in the definition; 0 where it has none.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    shapes: tuple[Shape, ...] | None
    parameters: int
    multiply_adds: int | None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A whole network, with the problems that a conversion would stop at, and a hint at how to mend several of them."""

    name: str
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    weight_problems: tuple[str, ...]
    notes: tuple[str, ...]
    hint: str = ""

    @property
    def exit_code(self) -> int:
        """0 where it converts, 3 where a part is unsupported, 2 where something else is wrong."""
        if any(p.unsupported for p in self.problems):
            return 3
        return 2 if self.problems or self.weight_problems else 0


def survey(
    definition: NetworkDefinition,
    weights: WeightSource | None = None,
    *,
    phase: str = "TEST",
    stages: Sequence[str] = (),
    level: int = 0,
    input_shapes: Mapping[str, Shape] | None = None,
) -> Survey:
    """Reads a network as far as it goes."""
    selected = select_layers(definition, phase=phase, stages=stages, level=level)
    builder = Builder.read(selected, phase=phase, shapes=input_shapes or {})
    graph = builder.graph()
    unmatched: list[str] = []
    try:
        graph, unmatched = pair_weights(graph, builder.definitions, weights, fill=False)
    except NetworkError as e:  # parameters shared that cannot be
        builder.problems += e.problems
    read = ((builder.definitions[n.name], n) for n in graph.nodes if n.name in builder.definitions)
    nodes = {(d.where, d.name): n for d, n in read}
    rows = []
    for d in selected.layers:
        node = nodes.get((d.where, d.name))
        shapes, parameters, cost = _cost(graph, node) if node is not None else (None, 0, None)
        rows.append(
            Row(
                name=d.name,
                type=d.type,
                bottoms=d.bottoms,
                tops=d.tops,
                shapes=shapes,
                parameters=parameters,
                multiply_adds=cost,
                line=d.where.line,
            )
        )
    return Survey(
        name=graph.name,
        rows=tuple(rows),
        problems=tuple(builder.problems),
        weight_problems=tuple(unmatched),
        notes=graph.notes,
        hint=builder.hint,
    )


def _cost(graph: Graph, node: Node) -> tuple[tuple[Shape, ...], int, int]:
    inputs = [v.shape for v in graph.read(node)]
    outputs = [v.shape for v in graph.written(node)]
    try:
        parameters = sum(math.prod(b.shape) for b in node.layer.blobs(*inputs))
        cost = node.layer.multiply_adds(inputs, outputs)
    except Caffe2TFError:
        parameters, cost = 0, 0
    return tuple(outputs), parameters, cost
