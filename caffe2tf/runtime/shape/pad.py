"""Pad: a constant put around a tensor."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Pad"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Pad(keras.layers.Layer):
    """Puts a constant around a tensor, along any axes, the first included.

    Args:
        paddings: for each axis, how many values to put in front and behind.
        value: the constant.
    """

    def __init__(self, paddings: Sequence[tuple[int, int]], value: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.paddings = tuple((before, after) for before, after in paddings)
        self.value = value

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape of as many axes as there are pairs."""
        return tf.pad(x, self.paddings, constant_values=tf.cast(self.value, x.dtype))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """More by the paddings."""
        return tuple(None if d is None else d + sum(p) for d, p in zip(input_shape, self.paddings, strict=True))

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "paddings": self.paddings, "value": self.value}
