"""Pad: surrounds a tensor with a constant."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Pad"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Pad(keras.layers.Layer):
    """Pads a tensor with a constant along any axis, including the batch axis.

    ``keras.layers.ZeroPadding2D`` and its relatives pad spatial axes only, with zeros.

    Args:
        paddings: sequence of ``(before, after)`` pairs of ints, one pair for each axis of the input: how many values
            to insert at the start and at the end of the axis.
        value: float. The constant. Defaults to 0.

    Input shape:
        Any shape with one axis for each pair.

    Output shape:
        Each extent plus the two paddings of its axis.
    """

    def __init__(self, paddings: Sequence[tuple[int, int]], value: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.paddings = tuple((before, after) for before, after in paddings)
        self.value = value

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Pad the input."""
        return tf.pad(x, self.paddings, constant_values=tf.cast(self.value, x.dtype))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape plus the paddings."""
        return tuple(None if d is None else d + sum(p) for d, p in zip(input_shape, self.paddings, strict=True))

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "paddings": self.paddings, "value": self.value}
