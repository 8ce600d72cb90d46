"""DepthToSpace: moves channels into blocks of pixels."""

from __future__ import annotations

import keras
import tensorflow as tf

from caffe2tf.runtime.vision.convolution import known_shape

__all__ = ["DepthToSpace"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class DepthToSpace(keras.layers.Layer):
    """Moves channels into ``size x size`` blocks of pixels (depth to space, pixel shuffle).

    With ``s = size`` and C output channels, the output pixel ``(s * h + i, s * w + j)`` of channel ``c`` is the input
    pixel ``(h, w)`` of channel

    - ``(s * i + j) * C + c`` by default, as in ``tf.nn.depth_to_space``,
    - ``(s * c + i) * s + j`` if `inner` is true, as in PyTorch's ``PixelShuffle``.

    Args:
        size: int. The height and the width of a block.
        inner: bool. Which of the two channel orders above the input has: whether the position in the block varies
            fastest along the channel axis. Defaults to False: the output channel varies fastest.
        data_format: ``"channels_last"`` (the default) or ``"channels_first"``. Channels-first works on CPUs, too.

    Input shape:
        ``(N, H, W, C * size ** 2)`` if channels last, ``(N, C * size ** 2, H, W)`` if channels first.

    Output shape:
        ``(N, H * size, W * size, C)`` if channels last, ``(N, C, H * size, W * size)`` if channels first.
    """

    def __init__(self, size: int, *, inner: bool = False, data_format: str = "channels_last", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.inner = inner
        self.data_format = data_format

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Rearrange the values of the input."""
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
        """Return the input shape with height and width times `size`, and channels divided by ``size ** 2``."""
        channels = 3 if self.data_format == "channels_last" else 1
        after = [None if d is None else d * self.size for d in input_shape]
        depth = input_shape[channels]
        after[channels] = None if depth is None else depth // self.size**2
        return (input_shape[0], *after[1:])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {"size": self.size, "inner": self.inner, "data_format": self.data_format}
        return {**super().get_config(), **own}
