"""Reorg: YOLO's exchange of image size for channels."""

from __future__ import annotations

import keras
import tensorflow as tf

from caffe2tf.runtime.vision.convolution import known_shape

__all__ = ["Reorg"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Reorg(keras.layers.Layer):
    """A smaller image of more channels, in the order of YOLO's forks of Caffe.

    The input's values, as they follow each other with channels first, are read as an image of ``stride ** 2`` times
    fewer channels and `stride` times longer sides. Each square of its places becomes a run of channels.

    Args:
        stride: by how much each side shrinks.
        data_format: channels_last or channels_first.
    """

    def __init__(self, stride: int, *, data_format: str = "channels_last", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.stride = stride
        self.data_format = data_format

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Four axes; the sides are multiples of the stride, the channels of its square."""
        if self.data_format == "channels_first":
            return _reorg_first(x, self.stride)
        if x.shape[1] is None or x.shape[1] % self.stride**2:
            return tf.transpose(_reorg_first(tf.transpose(x, (0, 3, 1, 2)), self.stride), (0, 2, 3, 1))
        return _reorg_last(x, self.stride)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Sides divided by the stride, channels times its square."""
        channels = 3 if self.data_format == "channels_last" else 1
        after = [None if d is None else d // self.stride for d in input_shape]
        depth = input_shape[channels]
        after[channels] = None if depth is None else depth * self.stride**2
        return (input_shape[0], *after[1:])

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "stride": self.stride, "data_format": self.data_format}


def _reorg_first(x: tf.Tensor, s: int) -> tf.Tensor:
    n, c, h, w = known_shape(x)
    squares = tf.transpose(tf.reshape(x, (n, c // s**2, h, s, w, s)), (0, 3, 5, 1, 2, 4))
    return tf.reshape(squares, (n, c * s**2, h // s, w // s))


def _reorg_last(x: tf.Tensor, s: int) -> tf.Tensor:
    """With channels last and rows a multiple of ``s ** 2``, no square reaches from one channel into the next."""
    n, h, w, c = known_shape(x)
    squares = tf.transpose(tf.reshape(x, (-1, s, s, w // s, s, c)), (0, 2, 3, 1, 4, 5))
    return tf.reshape(squares, (n, h // s, w // s, c * s**2))
