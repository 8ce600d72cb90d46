"""Reverse: a tensor the other way round along some axes."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Reverse"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Reverse(keras.layers.Layer):
    """A tensor with its last index first along some axes, the first included.

    Args:
        axes: the axes, not negative.
    """

    def __init__(self, axes: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axes = tuple(axes)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape, and the same out."""
        return tf.reverse(x, self.axes)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axes": self.axes}
