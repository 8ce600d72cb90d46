"""Filter: keeps the items that a selector marks."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Filter"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Filter(keras.layers.Layer):
    """Keeps the items, along axis 0, for which a selector is not 0.

    The number of items that remain depends on the values of the selector, so the batch axis of the output has no
    static extent.

    Input shape:
        A list of one or more tensors of shape ``(N, ...)``, followed by the selector, which holds N values: ``(N,)``,
        ``(N, 1)`` and so on.

    Output shape:
        ``(K, ...)`` for each tensor but the selector, where K is the number of nonzero values of the selector. The
        output is a list, or a single tensor if only one tensor is filtered.
    """

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor | list[tf.Tensor]:
        """Filter all tensors but the last by the last."""
        *tensors, selector = inputs
        mask = tf.not_equal(tf.reshape(selector, [-1]), 0)
        kept = [tf.boolean_mask(x, mask) for x in tensors]
        return kept if len(kept) > 1 else kept[0]

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...] | list[tuple[int | None, ...]]:
        """Return the shapes of the filtered tensors, with an unknown extent along axis 0."""
        shapes: list[tuple[int | None, ...]] = [(None, *shape[1:]) for shape in input_shape[:-1]]
        return shapes if len(shapes) > 1 else shapes[0]
