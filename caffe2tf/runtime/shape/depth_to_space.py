"""DepthToSpace: channels become places of a larger image."""

from __future__ import annotations

import keras
import tensorflow as tf

from caffe2tf.runtime.vision.convolution import known_shape

__all__ = ["DepthToSpace"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class DepthToSpace(keras.layers.Layer):
    """Each square of places of the output is a run of the input's channels.

    Args:
        size: places along each side of a square.
        inner: whether a channel's number is its number in the output, times the places, plus the place; else it is the
            place, times the output's channels, plus the number in the output.
        data_format: channels_last or channels_first.
    """

    def __init__(self, size: int, *, inner: bool = False, data_format: str = "channels_last", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.inner = inner
        self.data_format = data_format

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Four axes; the channels are a multiple of the places of a square."""
        s = self.size
        extents = known_shape(x)
        if self.data_format == "channels_last":
            if not self.inner:
                return tf.nn.depth_to_space(x, s)
            n, h, w, c = extents
            x = tf.reshape(x, (n, h, w, c // s**2, s, s))
            return tf.reshape(tf.transpose(x, (0, 1, 4, 2, 5, 3)), (n, h * s, w * s, c // s**2))
        n, c, h, w = extents
        if self.inner:
            x = tf.transpose(tf.reshape(x, (n, c // s**2, s, s, h, w)), (0, 1, 4, 2, 5, 3))
        else:
            x = tf.transpose(tf.reshape(x, (n, s, s, c // s**2, h, w)), (0, 3, 4, 1, 5, 2))
        return tf.reshape(x, (n, c // s**2, h * s, w * s))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Sides times the size, channels divided by its square."""
        channels = 3 if self.data_format == "channels_last" else 1
        after = [None if d is None else d * self.size for d in input_shape]
        depth = input_shape[channels]
        after[channels] = None if depth is None else depth // self.size**2
        return (input_shape[0], *after[1:])

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        own = {"size": self.size, "inner": self.inner, "data_format": self.data_format}
        return {**super().get_config(), **own}
