"""SpaceToBatch and BatchToSpace: move pixels of blocks into the batch axis, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["BatchToSpace", "BlockLayer", "SpaceToBatch"]

Extents = tuple[int | None, ...]


class BlockLayer(keras.layers.Layer):
    """Base class of `SpaceToBatch` and `BatchToSpace`.

    Args:
        blocks: sequence of ints. The extent of a block along axis 1, 2 and so on.
        margins: sequence of ``(before, after)`` pairs of ints, one for each element of `blocks`: the zeros that
            `SpaceToBatch` inserts, or the values that `BatchToSpace` cuts off, at the start and at the end of the
            axis.
    """

    def __init__(self, blocks: Sequence[int], margins: Sequence[tuple[int, int]], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.blocks = tuple(blocks)
        self.margins = tuple((before, after) for before, after in margins)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "blocks": self.blocks, "margins": self.margins}


@keras.saving.register_keras_serializable(package="caffe2tf")
class SpaceToBatch(BlockLayer):
    """Pads a tensor with zeros, then moves each position of a block into the batch axis.

    Computes ``tf.space_to_batch``. See `BlockLayer` for the arguments.

    Input shape:
        ``(N, d1, ..., dk, ...)``, where k is the number of blocked axes. Each padded extent must be a multiple of the
        extent of its block.

    Output shape:
        ``(N * b1 * ... * bk, (d1 + margins) / b1, ..., (dk + margins) / bk, ...)``, where b are the block extents.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Pad and rearrange the input."""
        return tf.space_to_batch(x, self.blocks, self.margins)

    def compute_output_shape(self, input_shape: Extents) -> Extents:
        """Return the shape of the larger batch of smaller items."""
        batch, first = input_shape[0], len(self.blocks) + 1
        sides = zip(input_shape[1:first], self.blocks, self.margins, strict=True)
        shape = tuple(None if n is None else (n + sum(m)) // b for n, b, m in sides)
        return (None if batch is None else batch * math.prod(self.blocks), *shape, *input_shape[first:])


@keras.saving.register_keras_serializable(package="caffe2tf")
class BatchToSpace(BlockLayer):
    """Moves items of the batch into positions of a block, then cuts off margins: the inverse of `SpaceToBatch`.

    Computes ``tf.batch_to_space``. See `BlockLayer` for the arguments.

    Input shape:
        ``(N * b1 * ... * bk, d1, ..., dk, ...)``, where b are the block extents.

    Output shape:
        ``(N, d1 * b1 - margins, ..., dk * bk - margins, ...)``.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Rearrange and crop the input."""
        return tf.batch_to_space(x, self.blocks, self.margins)

    def compute_output_shape(self, input_shape: Extents) -> Extents:
        """Return the shape of the smaller batch of larger items."""
        batch, first = input_shape[0], len(self.blocks) + 1
        sides = zip(input_shape[1:first], self.blocks, self.margins, strict=True)
        shape = tuple(None if n is None else n * b - sum(m) for n, b, m in sides)
        return (None if batch is None else batch // math.prod(self.blocks), *shape, *input_shape[first:])
