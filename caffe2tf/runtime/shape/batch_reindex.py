"""BatchReindex: picks items by index."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["BatchReindex"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class BatchReindex(keras.layers.Layer):
    """Of the first of two tensors, the items that the second one names by index, as numbers whose fraction is cut off.

    Args:
        axis: the axis of the first tensor along which the items lie, not negative.
    """

    def __init__(self, axis: int = 0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The items, and the indices (one axis)."""
        x, index = inputs
        return tf.gather(x, tf.cast(index, tf.int32), axis=self.axis)

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """As many items as there are indices."""
        first, index = input_shape
        return (*first[: self.axis], index[0], *first[self.axis + 1 :])

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": self.axis}
