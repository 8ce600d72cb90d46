"""Reorg: moves pixels into channels, in the order of YOLO."""

from __future__ import annotations

import keras
import tensorflow as tf

from caffe2tf.runtime.vision.convolution import known_shape

__all__ = ["Reorg"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Reorg(keras.layers.Layer):
    """Makes an image smaller and gives it more channels, in the order of Darknet and of YOLO's forks of Caffe.

    This is not ``tf.nn.space_to_depth``. With ``s = stride``, the C x H x W values of an image, in channels-first
    order, are first reinterpreted as an image of ``C / s ** 2`` channels, ``s * H`` rows and ``s * W`` columns. Its
    pixel ``(s * h + i, s * w + j)`` of channel ``c`` becomes the pixel ``(h, w)`` of channel
    ``(s * i + j) * C / s ** 2 + c`` of an image of C x H x W values, which are finally reinterpreted as an image of
    ``s ** 2 * C`` channels, ``H / s`` rows and ``W / s`` columns.

    Args:
        stride: int. The factor by which the height and the width shrink. It must divide H and W, and its square must
            divide C.
        data_format: ``"channels_last"`` (the default) or ``"channels_first"``.

    Input shape:
        ``(N, H, W, C)`` if channels last, ``(N, C, H, W)`` if channels first.

    Output shape:
        ``(N, H / stride, W / stride, C * stride ** 2)`` if channels last, ``(N, C * stride ** 2, H / stride,
        W / stride)`` if channels first.
    """

    def __init__(self, stride: int, *, data_format: str = "channels_last", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.stride = stride
        self.data_format = data_format

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Rearrange the values of the input."""
        if self.data_format == "channels_first":
            return _reorg_first(x, self.stride)
        if x.shape[1] is None or x.shape[1] % self.stride**2:
            return tf.transpose(_reorg_first(tf.transpose(x, (0, 3, 1, 2)), self.stride), (0, 2, 3, 1))
        return _reorg_last(x, self.stride)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape with height and width divided by `stride`, and channels times ``stride ** 2``."""
        channels = 3 if self.data_format == "channels_last" else 1
        after = [None if d is None else d // self.stride for d in input_shape]
        depth = input_shape[channels]
        after[channels] = None if depth is None else depth * self.stride**2
        return (input_shape[0], *after[1:])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "stride": self.stride, "data_format": self.data_format}


def _reorg_first(x: tf.Tensor, s: int) -> tf.Tensor:
    """Rearrange a channels-first image."""
    n, c, h, w = known_shape(x)
    squares = tf.transpose(tf.reshape(x, (n, c // s**2, h, s, w, s)), (0, 3, 5, 1, 2, 4))
    return tf.reshape(squares, (n, c * s**2, h // s, w // s))


def _reorg_last(x: tf.Tensor, s: int) -> tf.Tensor:
    """Rearrange a channels-last image without transposing it.

    That is possible if ``s ** 2`` divides the number of rows: then no block reaches from one channel into the next.
    """
    n, h, w, c = known_shape(x)
    squares = tf.transpose(tf.reshape(x, (-1, s, s, w // s, s, c)), (0, 2, 3, 1, 4, 5))
    return tf.reshape(squares, (n, h // s, w // s, c * s**2))
