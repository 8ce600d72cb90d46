"""The steps of loading, in order: select layers, build the graph, attach trained blobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from caffe2tf.diagnostics import Diagnostic
from caffe2tf.errors import NetworkError
from caffe2tf.ir import Graph, Shape
from caffe2tf.load.selection import is_source, select_layers, unwritten
from caffe2tf.load.weights import attach_weights
from caffe2tf.load.zoom import build_fitting

if TYPE_CHECKING:
    from caffe2tf.parse import NetworkDefinition, TrainedWeights

__all__ = ["load_graph", "source_tops"]


def load_graph(  # noqa: PLR0913 - one parameter for each choice
    definition: NetworkDefinition,
    weights: TrainedWeights | None = None,
    *,
    phase: str = "TEST",
    stages: Sequence[str] = (),
    level: int = 0,
    input_shapes: Mapping[str, Shape] | None = None,
    fill: bool = False,
    stub_unknown: bool = False,
) -> Graph:
    """Return the graph of a definition, with trained blobs attached by layer name.

    Args:
        definition: the network.
        weights: trained blobs; None for the structure alone.
        phase: TEST or TRAIN.
        stages: stages of the NetState that selects layers.
        level: level of the NetState.
        input_shapes: shapes of inputs by blob, which replace the shapes in the definition.
        fill: whether blobs that no file holds are filled by the fillers of the definition. Random fillers have a fixed
            seed.
        stub_unknown: whether a layer of unknown type becomes a stub, which the user fills in, instead of a problem.

    Raises:
        UnsupportedError: something cannot be converted. The message lists everything that was found.
        NetworkError: the network is not valid Caffe. The message lists everything that was found.
        WeightsError: the weights do not fit the network.
    """
    selected = select_layers(definition, phase=phase, stages=stages, level=level)
    built = build_fitting(selected, input_shapes=input_shapes or {}, stub_unknown=stub_unknown)
    built.raise_problems()
    if not built.graph.nodes:
        raise NetworkError([Diagnostic(message=f"no layer is left for phase {phase}")])
    return attach_weights(built.graph, built.definitions, weights, fill=fill)


def source_tops(definition: NetworkDefinition, state: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the blobs that come from outside the network.

    Args:
        definition: the network.
        state: the NetState: ``phase``, ``stages`` and ``level``.

    Returns:
        The tops of the data layers in order, then the blobs that no layer writes. These become inputs if the user gives
        their shapes.
    """
    layers = select_layers(definition, **state).layers
    return (*(t for d in layers if is_source(d) for t in d.tops), *sorted(unwritten(layers)))
