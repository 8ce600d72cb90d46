"""Transpose and Reblock: other orders of a tensor's values."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

__all__ = ["PermutingLayer", "Reblock", "Transpose"]


class PermutingLayer(keras.layers.Layer):
    """A layer whose result has the axes of its input in another order.

    Args:
        order: for each axis of the result, the axis of the input.
    """

    def __init__(self, order: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.order = tuple(order)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The same extents in another order."""
        return tuple(input_shape[axis] for axis in self.order)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "order": self.order}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Transpose(PermutingLayer):
    """Moves the axes of a tensor, the first included.

    Args:
        order: for each axis of the result, the axis of the input.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape of as many axes."""
        return tf.transpose(x, self.order)


@keras.saving.register_keras_serializable(package="caffe2tf")
class Reblock(keras.layers.Layer):
    """Reorders the values along axis 1 of a flattened tensor.

    Both orders are given by blocks, (dims, order) pairs: such a run of values was a tensor of extents `dims`, whose
    axes now stand in `order`.

    Args:
        source: the blocks of the input.
        target: the blocks of the result.
    """

    def __init__(
        self,
        source: Sequence[tuple[Sequence[int], Sequence[int]]],
        target: Sequence[tuple[Sequence[int], Sequence[int]]],
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.source = tuple((tuple(dims), tuple(order)) for dims, order in source)
        self.target = tuple((tuple(dims), tuple(order)) for dims, order in target)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(N, values)."""
        place = np.argsort(_places_in_blocks(self.source))
        return tf.gather(x, place[_places_in_blocks(self.target)], axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "source": self.source, "target": self.target}


def _places_in_blocks(blocks: Sequence[tuple[Sequence[int], Sequence[int]]]) -> np.ndarray:
    """For each value of a tensor made of ``blocks``, its place before any axes were moved."""
    found, start = [], 0
    for dims, order in blocks:
        size = int(np.prod(dims))
        found.append(start + np.arange(size).reshape(dims).transpose(order).reshape(-1))
        start += size
    return np.concatenate(found)
