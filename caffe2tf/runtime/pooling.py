"""Pooling over windows that Keras cannot place as Caffe does."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["AveragePooling", "MaxPooling", "MaxPoolingWithMask", "StochasticPooling"]


class _Pooling(keras.layers.Layer):
    """What the pooling layers have in common: (batch, height, width, channels) in and out, and the windows' places.

    Args:
        kernel_size: the window's extent: one number, or (height, width).
        stride: steps between windows, likewise.
        pad: rows and columns on either side of the input, likewise.
        round_mode: "CEIL" where a last window may stand over the edge, "FLOOR" where it may not.
    """

    _known_to_xla = True

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        pad: int | tuple[int, int] = 0,
        round_mode: str = "CEIL",
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = _height_and_width(kernel_size)
        self.stride = _height_and_width(stride)
        self.pad = _height_and_width(pad)
        self.round_mode = round_mode
        self.supports_jit = self._known_to_xla

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        own = {
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "pad": self.pad,
            "round_mode": self.round_mode,
        }
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> object:
        """One value for each window; None where the input's extent is None."""
        extents = (None if n is None else self._windows(i, n) for i, n in enumerate(input_shape[1:3]))
        return (input_shape[0], *extents, input_shape[3])

    def _windows(self, i: int, extent: int | tf.Tensor) -> int | tf.Tensor:
        """How many windows stand along spatial axis ``i``; with padding, each begins before the input ends."""
        free = extent + 2 * self.pad[i] - self.kernel_size[i]
        out = (-(-free // self.stride[i]) if self.round_mode == "CEIL" else free // self.stride[i]) + 1
        return _smaller(out, -(-(extent + self.pad[i]) // self.stride[i])) if any(self.pad) else out

    def _extents(self, x: tf.Tensor) -> list[int | tf.Tensor]:
        return [tf.shape(x)[a] if x.shape[a] is None else x.shape[a] for a in (1, 2)]

    def _padded(self, x: tf.Tensor, value: float) -> tf.Tensor:
        """``x`` with ``value`` around it, so that every window lies within."""
        pads = []
        for i, extent in enumerate(self._extents(x)):
            used = (self._windows(i, extent) - 1) * self.stride[i] + self.kernel_size[i]
            pads.append((self.pad[i], -_smaller(extent + self.pad[i] - used, 0)))
        return tf.pad(x, [(0, 0), *pads, (0, 0)], constant_values=value)

    def _averaged(self, x: tf.Tensor) -> tf.Tensor:
        """The sum over each window, divided by the window's size."""
        return tf.nn.avg_pool2d(self._padded(x, 0), self.kernel_size, self.stride, "VALID")


@keras.saving.register_keras_serializable(package="caffe2tf")
class MaxPooling(_Pooling):
    """The largest value of each window; padding is never the largest."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(batch, height, width, channels) to (batch, windows down, windows across, channels)."""
        return tf.nn.max_pool2d(self._padded(x, x.dtype.min), self.kernel_size, self.stride, "VALID")


@keras.saving.register_keras_serializable(package="caffe2tf")
class MaxPoolingWithMask(_Pooling):
    """The largest value of each window, and where it stands: ``row * width + column``, -1 for an empty window."""

    _known_to_xla = False

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> object:
        """Two of one shape."""
        return [super().compute_output_shape(input_shape)] * 2

    def call(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(batch, height, width, channels) to two of (batch, windows down, windows across, channels)."""
        padded = self._padded(x, x.dtype.min)
        top, at = tf.nn.max_pool_with_argmax(padded, self.kernel_size, self.stride, "VALID")
        shape = tf.shape(padded, tf.int64)
        place = at // shape[3]
        row, column = place // shape[2] - self.pad[0], place % shape[2] - self.pad[1]
        mask = tf.where(top > x.dtype.min, row * tf.shape(x, tf.int64)[2] + column, -1)
        return top, tf.cast(mask, x.dtype)


@keras.saving.register_keras_serializable(package="caffe2tf")
class AveragePooling(_Pooling):
    """The sum over each window, divided by the window's size with padding, but without what stands over that."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(batch, height, width, channels) to (batch, windows down, windows across, channels)."""
        down, across = (self._counts(i, extent) for i, extent in enumerate(self._extents(x)))
        size = tf.cast(down[:, None, None] * across[:, None], x.dtype)
        return self._averaged(x) * (self.kernel_size[0] * self.kernel_size[1] / size)

    def _counts(self, i: int, extent: int | tf.Tensor) -> tf.Tensor:
        """For each window along spatial axis ``i``, how many places of the padded input it holds."""
        start = tf.range(self._windows(i, extent)) * self.stride[i] - self.pad[i]
        return tf.minimum(start + self.kernel_size[i], extent + self.pad[i]) - start


@keras.saving.register_keras_serializable(package="caffe2tf")
class StochasticPooling(_Pooling):
    """What a value of each window, drawn with a chance in proportion to it, is on average.

    ``sum(x * x) / sum(x)``; 0 where the sum is not positive. Nothing is drawn, in training either.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(batch, height, width, channels) to (batch, windows down, windows across, channels)."""
        total = self._averaged(x)
        positive = total > 0
        return tf.where(positive, self._averaged(x * x) / tf.where(positive, total, 1), 0)


def _height_and_width(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _smaller(a: int | tf.Tensor, b: int | tf.Tensor) -> int | tf.Tensor:
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else tf.minimum(a, b)
