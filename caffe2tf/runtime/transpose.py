"""Transpose and Reblock: reorder axes, or the values of a flattened tensor."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

__all__ = ["PermutingLayer", "Reblock", "Transpose"]


class PermutingLayer(keras.layers.Layer):
    """Base class of layers whose output has the axes of the input in another order.

    Args:
        order: sequence of ints. For each axis of the output, the axis of the input.
    """

    def __init__(self, order: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.order = tuple(order)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the extents in the order of the output."""
        return tuple(input_shape[axis] for axis in self.order)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "order": self.order}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Transpose(PermutingLayer):
    """Permutes the axes of a tensor, including the batch axis.

    ``keras.layers.Permute`` leaves the batch axis in place.

    Args:
        order: sequence of ints. For each axis of the output, the axis of the input.

    Input shape:
        Any shape with one axis for each entry of `order`.

    Output shape:
        The extents of the input in the given order.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the permuted tensor."""
        return tf.transpose(x, self.order)


@keras.saving.register_keras_serializable(package="caffe2tf")
class Reblock(keras.layers.Layer):
    """Reorders the values of flattened tensors, for example from the order (C, H, W) to the order (H, W, C).

    Both orders are described by blocks, ``(dims, order)`` pairs of sequences of ints. A block is a run of values that
    was a tensor of shape `dims` before its axes were permuted to `order` and flattened. For images of the shape
    (C, H, W) = (3, 4, 5)::

        Reblock(source=[((3, 4, 5), (0, 1, 2))], target=[((3, 4, 5), (1, 2, 0))])

    Args:
        source: sequence of blocks. The order of the input.
        target: sequence of blocks of as many values. The order of the output.

    Input shape:
        ``(N, values)``.

    Output shape:
        Same as the input.
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
        """Return the values in the order of `target`."""
        place = np.argsort(_places_in_blocks(self.source))
        return tf.gather(x, place[_places_in_blocks(self.target)], axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "source": self.source, "target": self.target}


def _places_in_blocks(blocks: Sequence[tuple[Sequence[int], Sequence[int]]]) -> np.ndarray:
    """Return, for each value of a flattened tensor, its index before the axes of the blocks were permuted."""
    found, start = [], 0
    for dims, order in blocks:
        size = int(np.prod(dims))
        found.append(start + np.arange(size).reshape(dims).transpose(order).reshape(-1))
        start += size
    return np.concatenate(found)
