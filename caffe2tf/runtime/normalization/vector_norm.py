"""Lengths of vectors."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["ChannelNorm", "Normalization"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Normalization(keras.layers.Layer):
    """Each item divided by the root of the sum of its squares; an item of zeros becomes NaN, as in Caffe.

    Args:
        axis: the axis along which the items stand.
    """

    def __init__(self, axis: int = 0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Items of length 1."""
        others = [i for i in range(x.shape.rank) if i != self.axis]
        return x / tf.sqrt(tf.reduce_sum(x * x, others, keepdims=True))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": self.axis}


@keras.saving.register_keras_serializable(package="caffe2tf")
class ChannelNorm(keras.layers.Layer):
    """The root of the sum of squares along an axis, which keeps extent 1.

    Args:
        axis: the axis of the channels.
    """

    def __init__(self, axis: int = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The lengths."""
        total = tf.reduce_sum(x * x, self.axis, keepdims=True)
        none = total == 0  # the root has no slope there
        return tf.where(none, total, tf.sqrt(tf.where(none, tf.ones_like(total), total)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's, with one channel."""
        axis = self.axis % len(input_shape)
        return (*input_shape[:axis], 1, *input_shape[axis + 1 :])

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": self.axis}
