"""The shape of every blob, without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from caffe2tf.arguments import checked_shapes
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network

__all__ = ["infer_shapes"]


def infer_shapes(
    prototxt: str | os.PathLike[str],
    *,
    phase: str = "TEST",
    stages: Sequence[str] = (),
    level: int = 0,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, tuple[int | None, ...]]:
    """The shape of every blob of a network, in Caffe's axis order (N, C, H, W).

    Args:
        prototxt: the network's definition.
        phase: TEST or TRAIN; selects layers, with ``stages`` and ``level``.
        stages: stages of the NetState.
        level: level of the NetState.
        input_shapes: shapes of inputs by blob, in place of the definition's.

    Returns:
        Blob to shape; None stands for an extent that is known only when the network runs.

    Raises:
        Caffe2TFError: the definition cannot be read, is not sound, or has unsupported parts; all are listed.
    """
    shapes = checked_shapes(input_shapes)
    graph = load_graph(read_network(prototxt), phase=phase, stages=stages, level=level, input_shapes=shapes)
    return {blob: value.shape for blob, value in graph.final_values().items()}
