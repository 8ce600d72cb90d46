"""SpaceToBatch and BatchToSpace: places of an image become items of the batch, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["BatchToSpace", "BlockLayer", "SpaceToBatch"]

Extents = tuple[int | None, ...]


class BlockLayer(keras.layers.Layer):
    """What `SpaceToBatch` and `BatchToSpace` have in common.

    Args:
        blocks: extent of a block along axis 1, 2, and so on.
        margins: for each of these axes, what is added, or cut off, before and after.
    """

    def __init__(self, blocks: Sequence[int], margins: Sequence[tuple[int, int]], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.blocks = tuple(blocks)
        self.margins = tuple((before, after) for before, after in margins)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "blocks": self.blocks, "margins": self.margins}


@keras.saving.register_keras_serializable(package="caffe2tf")
class SpaceToBatch(BlockLayer):
    """Each place in a block becomes an item of the batch, after zeros were put around. See `BlockLayer`."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """A larger batch of smaller images."""
        return tf.space_to_batch(x, self.blocks, self.margins)

    def compute_output_shape(self, input_shape: Extents) -> Extents:
        """The batch times the places of a block."""
        batch, first = input_shape[0], len(self.blocks) + 1
        sides = zip(input_shape[1:first], self.blocks, self.margins, strict=True)
        shape = tuple(None if n is None else (n + sum(m)) // b for n, b, m in sides)
        return (None if batch is None else batch * math.prod(self.blocks), *shape, *input_shape[first:])


@keras.saving.register_keras_serializable(package="caffe2tf")
class BatchToSpace(BlockLayer):
    """Items of the batch become places in a block; then margins are cut off. See `BlockLayer`."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """A smaller batch of larger images."""
        return tf.batch_to_space(x, self.blocks, self.margins)

    def compute_output_shape(self, input_shape: Extents) -> Extents:
        """The batch divided by the places of a block."""
        batch, first = input_shape[0], len(self.blocks) + 1
        sides = zip(input_shape[1:first], self.blocks, self.margins, strict=True)
        shape = tuple(None if n is None else n * b - sum(m) for n, b, m in sides)
        return (None if batch is None else batch // math.prod(self.blocks), *shape, *input_shape[first:])
