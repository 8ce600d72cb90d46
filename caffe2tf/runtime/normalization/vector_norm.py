"""Normalization of whole items, and the Euclidean norm along the channels."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["ChannelNorm", "Normalization"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Normalization(keras.layers.Layer):
    """Divides each item by its Euclidean norm: ``x / sqrt(sum(x ** 2))``, summed over all axes but one.

    As in Caffe, nothing is added to the norm: an item of zeros becomes NaN.

    Args:
        axis: int. The axis that holds the items, which is not summed over. Defaults to 0.

    Input shape:
        ``(N, ...)``, or with the items along `axis`.

    Output shape:
        Same as the input.
    """

    def __init__(self, axis: int = 0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the items, each with norm 1."""
        others = [i for i in range(x.shape.rank) if i != self.axis % x.shape.rank]
        wide = tf.cast(x, keras.backend.result_type(x.dtype, "float32"))  # float16 has no room for squares
        return tf.cast(wide / tf.sqrt(tf.reduce_sum(wide * wide, others, keepdims=True)), x.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}


@keras.saving.register_keras_serializable(package="caffe2tf")
class ChannelNorm(keras.layers.Layer):
    """Computes the Euclidean norm along one axis: ``sqrt(sum(x ** 2))``.

    The gradient is 0 where the norm is 0, where that of ``tf.norm`` is NaN.

    Args:
        axis: int. The axis of the channels. Defaults to -1.

    Input shape:
        ``(N, H, W, C)``, or any other shape.

    Output shape:
        ``(N, H, W, 1)``: the input shape with an extent of 1 along `axis`.
    """

    def __init__(self, axis: int = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the norms."""
        wide = tf.cast(x, keras.backend.result_type(x.dtype, "float32"))  # float16 has no room for squares
        total = tf.reduce_sum(wide * wide, self.axis, keepdims=True)
        none = total == 0  # the square root has no finite gradient there
        return tf.cast(tf.where(none, total, tf.sqrt(tf.where(none, tf.ones_like(total), total))), x.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape with one channel."""
        axis = self.axis % len(input_shape)
        return (*input_shape[:axis], 1, *input_shape[axis + 1 :])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}
