"""Reverse: reverses the order of values along axes."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Reverse"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Reverse(keras.layers.Layer):
    """Reverses the order of the indices along some axes, which may include the batch axis.

    Args:
        axes: sequence of ints, 0 or greater. The axes to reverse.

    Input shape:
        Any shape.

    Output shape:
        The input shape.
    """

    def __init__(self, axes: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axes = tuple(axes)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Reverse the input along the axes."""
        return tf.reverse(x, self.axes)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axes": self.axes}
