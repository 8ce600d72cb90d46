"""Filter: keeps the items that a selector marks."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Filter"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Filter(keras.layers.Layer):
    """Of every tensor but the last, the items along axis 0 for which the last, the selector, is not 0.

    Returns a list, or the one filtered tensor alone.
    """

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor | list[tf.Tensor]:
        """Tensors of one extent along axis 0; the selector holds one value for each item."""
        *tensors, selector = inputs
        mask = tf.not_equal(tf.reshape(selector, [-1]), 0)
        kept = [tf.boolean_mask(x, mask) for x in tensors]
        return kept if len(kept) > 1 else kept[0]

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...] | list[tuple[int | None, ...]]:
        """Nobody knows how many items are left."""
        shapes: list[tuple[int | None, ...]] = [(None, *shape[1:]) for shape in input_shape[:-1]]
        return shapes if len(shapes) > 1 else shapes[0]
