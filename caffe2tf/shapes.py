"""`infer_shapes`: the shape of every blob, without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from caffe2tf.arguments import checked_shapes
from caffe2tf.pipeline import Selection, load, read_network

__all__ = ["infer_shapes"]


def infer_shapes(
    prototxt: str | os.PathLike[str],
    *,
    phase: str = "TEST",
    stages: Sequence[str] = (),
    level: int = 0,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, tuple[int | None, ...]]:
    """Return the shape of every blob of a network, in Caffe's axis order (N, C, H, W).

        >>> caffe2tf.infer_shapes("deploy.prototxt")
        {'data': (1, 3, 227, 227), 'conv1': (1, 96, 55, 55), ...}

    Args:
        prototxt: the network's definition.
        phase: TEST or TRAIN; selects layers, with ``stages`` and ``level``.
        stages: stages of the NetState.
        level: level of the NetState.
        input_shapes: shapes of inputs by blob, instead of the definition's.

    Returns:
        The shape of each blob by name. None is an extent that is known only when the network runs.

    Raises:
        Caffe2TFError: the definition cannot be read, is not valid, or has unsupported parts; the message lists all
            problems.
    """
    shapes = checked_shapes(input_shapes)
    selection = Selection(phase=phase, stages=stages, level=level, input_shapes=shapes)
    graph = load(read_network(prototxt), selection=selection)
    return {blob: value.shape for blob, value in graph.final_values().items()}
