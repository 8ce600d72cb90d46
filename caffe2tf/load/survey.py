"""A network as a table, valid or not: what each layer writes and costs, and everything that prevents a conversion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from caffe2tf.diagnostics import Diagnostic, Severity, in_order
from caffe2tf.errors import Caffe2TFError, NetworkError, WeightsError
from caffe2tf.ir import Graph, Node, Shape
from caffe2tf.load.selection import select_layers
from caffe2tf.load.weights import pair_weights
from caffe2tf.load.zoom import build_fitting
from caffe2tf.parse import LayerDefinition, NetworkDefinition, TrainedWeights

__all__ = ["Row", "Survey", "survey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One layer.

    Attributes:
        name: the name of the layer.
        type: the type of the layer.
        bottoms: the blobs that it reads.
        tops: the blobs that it writes.
        shapes: the shapes of the tops, in Caffe's axes; None if the layer has a problem.
        parameters: the number of trained values.
        multiply_adds: the multiply-adds of one forward pass; None if the layer has a problem.
        line: the line in the definition; 0 in a binary file.
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
    """A whole network.

    Attributes:
        name: the name of the network.
        rows: the layers.
        problems: everything that prevents a conversion, in the order of the definition.
        weights_error: the error about trained blobs that do not fit, if there is one.
        notes: what the user should know, in the order of the definition.
    """

    name: str
    rows: tuple[Row, ...]
    problems: tuple[Diagnostic, ...]
    weights_error: WeightsError | None
    notes: tuple[Diagnostic, ...]

    @property
    def exit_code(self) -> int:
        """0 if the network can be converted, 3 if a part is not supported, 2 if something else is wrong."""
        if any(p.severity is Severity.UNSUPPORTED for p in self.problems):
            return 3
        return 2 if self.problems or self.weights_error else 0


def survey(
    definition: NetworkDefinition,
    weights: TrainedWeights | None = None,
    *,
    phase: str = "TEST",
    stages: Sequence[str] = (),
    level: int = 0,
    input_shapes: Mapping[str, Shape] | None = None,
) -> Survey:
    """Read a network as far as possible. The arguments are those of `load_graph`."""
    selected = select_layers(definition, phase=phase, stages=stages, level=level)
    built = build_fitting(selected, input_shapes=input_shapes or {})
    graph, problems, error = built.graph, built.problems, None
    try:
        graph, error = pair_weights(graph, built.definitions, weights, fill=False)
    except NetworkError as e:  # parameters that cannot be shared
        problems += e.problems
    read = ((built.definitions[n.name], n) for n in graph.nodes if n.name in built.definitions)
    nodes = {(d.where, d.name): n for d, n in read}
    return Survey(
        name=graph.name,
        rows=tuple(_row(d, graph, nodes.get((d.where, d.name))) for d in selected.layers),
        problems=in_order(problems),
        weights_error=error,
        notes=in_order(graph.notes),
    )


def _row(definition: LayerDefinition, graph: Graph, node: Node | None) -> Row:
    shapes, parameters, cost = _cost(graph, node) if node is not None else (None, 0, None)
    return Row(
        name=definition.name,
        type=definition.type,
        bottoms=definition.bottoms,
        tops=definition.tops,
        shapes=shapes,
        parameters=parameters,
        multiply_adds=cost,
        line=definition.where.line,
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
