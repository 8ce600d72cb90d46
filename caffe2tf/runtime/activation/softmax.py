"""Softmax over a single class, and of tensors with many axes."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["ManyAxesSoftmax", "OneClassSoftmax"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class OneClassSoftmax(keras.layers.Layer):
    """Softmax over an axis of extent 1: 1 everywhere, and NaN where the input is not finite.

    ``keras.layers.Softmax`` warns about such an axis. Caffe computes ``exp(x - max) / sum``, which is ``exp(x - x)``.

    Input shape:
        Any shape.

    Output shape:
        Same as the input.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return what a softmax computes if the only value is also the largest."""
        return tf.exp(x - x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="caffe2tf")
class ManyAxesSoftmax(keras.layers.Layer):
    """Softmax along one axis of a tensor with any number of axes: ``exp(x - max(x)) / sum(exp(x - max(x)))``.

    TensorFlow's own softmax fails on some devices if the tensor has more than 5 axes. This layer is composed of
    reductions, which do not.

    Args:
        axis: int. The axis of the classes. Defaults to -1.

    Input shape:
        Any shape.

    Output shape:
        Same as the input.
    """

    def __init__(self, axis: int = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the probabilities."""
        y = tf.exp(x - tf.reduce_max(x, self.axis, keepdims=True))
        return y / tf.reduce_sum(y, self.axis, keepdims=True)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}
