"""What Softmax needs beyond Keras."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["ManyAxesSoftmax", "OneClassSoftmax"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class OneClassSoftmax(keras.layers.Layer):
    """Softmax over an axis of extent 1: 1 everywhere, and NaN where the input is not finite."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Exactly what a softmax computes where the only value is the largest."""
        return tf.exp(x - x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="caffe2tf")
class ManyAxesSoftmax(keras.layers.Layer):
    """Softmax of a tensor with more axes than TensorFlow's own takes on every device, which are 5.

    Args:
        axis: the axis of the classes.
    """

    def __init__(self, axis: int = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape, and the same out."""
        y = tf.exp(x - tf.reduce_max(x, self.axis, keepdims=True))
        return y / tf.reduce_sum(y, self.axis, keepdims=True)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": self.axis}
