"""Pooling over windows that Keras cannot place as Caffe does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["AveragePooling", "AveragePoolingWithoutPadding", "MaxPooling", "MaxPoolingWithMask", "StochasticPooling"]


class _Pooling(keras.layers.Layer):
    """What the pooling layers have in common: (batch, spatial axes..., channels) in and out, and the windows' places.

    There are as many spatial axes as the window has; one number stands for both of two.

    Args:
        kernel_size: the window's extent: one number, or one for each spatial axis.
        stride: steps between windows, likewise.
        pad: what is added on either side of the input: likewise, or (before, after) for each spatial axis.
        round_mode: "CEIL" where a last window may stand over the edge, "FLOOR" where it may not.
        clip: whether a last window that begins beyond the input and the padding before it is left out; only where
            there is padding.
    """

    _known_to_xla = True

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        pad: int | Sequence[int | Sequence[int]] = 0,
        round_mode: str = "CEIL",
        clip: bool = True,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = (kernel_size,) * 2 if isinstance(kernel_size, int) else tuple(kernel_size)
        axes = len(self.kernel_size)
        self.stride = (stride,) * axes if isinstance(stride, int) else tuple(stride)
        pads = (pad,) * axes if isinstance(pad, int) else pad
        self.pad = tuple((p, p) if isinstance(p, int) else tuple(p) for p in pads)
        self.round_mode = round_mode
        self.clip = clip
        self.supports_jit = self._known_to_xla

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        own = {
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "pad": self.pad,
            "round_mode": self.round_mode,
            "clip": self.clip,
        }
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> object:
        """One value for each window; None where the input's extent is None."""
        extents = (None if n is None else self._windows(i, n) for i, n in enumerate(input_shape[1:-1]))
        return (input_shape[0], *extents, input_shape[-1])

    def _windows(self, i: int, extent: int | tf.Tensor) -> int | tf.Tensor:
        """How many windows stand along spatial axis ``i``."""
        free = extent + sum(self.pad[i]) - self.kernel_size[i]
        out = (-(-free // self.stride[i]) if self.round_mode == "CEIL" else free // self.stride[i]) + 1
        if not (self.clip and any(map(any, self.pad))):
            return out
        return _smaller(out, -(-(extent + self.pad[i][0]) // self.stride[i]))

    def _extents(self, x: tf.Tensor) -> list[int | tf.Tensor]:
        return [tf.shape(x)[a] if x.shape[a] is None else x.shape[a] for a in range(1, len(x.shape) - 1)]

    def _padded(self, x: tf.Tensor, value: float) -> tf.Tensor:
        """``x`` with ``value`` around it, so that every window lies within."""
        pads = []
        for i, extent in enumerate(self._extents(x)):
            used = (self._windows(i, extent) - 1) * self.stride[i] + self.kernel_size[i]
            pads.append((self.pad[i][0], -_smaller(extent + self.pad[i][0] - used, 0)))
        return tf.pad(x, [(0, 0), *pads, (0, 0)], constant_values=value)

    def _averaged(self, x: tf.Tensor) -> tf.Tensor:
        """The sum over each window, divided by the window's size."""
        return tf.nn.avg_pool(self._padded(x, 0), self.kernel_size, self.stride, "VALID", self._format())

    def _format(self) -> str:
        """Return TensorFlow's name of the data format; without it, 3-D pooling has no gradient in eager mode."""
        return ("NWC", "NHWC", "NDHWC")[len(self.kernel_size) - 1]


@keras.saving.register_keras_serializable(package="caffe2tf")
class MaxPooling(_Pooling):
    """The largest value of each window; padding is never the largest."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(batch, spatial axes..., channels) to (batch, windows along each axis..., channels)."""
        padded = self._padded(x, x.dtype.min)
        return tf.nn.max_pool(padded, self.kernel_size, self.stride, "VALID", self._format())


@keras.saving.register_keras_serializable(package="caffe2tf")
class MaxPoolingWithMask(_Pooling):
    """The largest value of each window, and where it stands: ``row * width + column``, -1 for an empty window."""

    _known_to_xla = False

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> object:
        """Two of one shape."""
        return [super().compute_output_shape(input_shape)] * 2

    def compute_output_spec(self, inputs: keras.KerasTensor) -> list[keras.KerasTensor]:
        """Return the specifications of the values and of the mask."""
        shape = super().compute_output_shape(inputs.shape)
        dtypes = (self.compute_dtype, keras.backend.result_type(self.compute_dtype, "float32"))
        return [keras.KerasTensor(shape, dtype=dtype) for dtype in dtypes]

    def call(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(batch, height, width, channels) to two of (batch, windows down, windows across, channels)."""
        padded = self._padded(x, x.dtype.min)
        top, at = tf.nn.max_pool_with_argmax(padded, self.kernel_size, self.stride, "VALID")
        shape = tf.shape(padded, tf.int64)
        place = at // shape[3]
        row, column = place // shape[2] - self.pad[0][0], place % shape[2] - self.pad[1][0]
        mask = tf.where(top > x.dtype.min, row * tf.shape(x, tf.int64)[2] + column, -1)
        return top, tf.cast(mask, keras.backend.result_type(x.dtype, "float32"))  # float16 would round it above 2048


@keras.saving.register_keras_serializable(package="caffe2tf")
class AveragePooling(_Pooling):
    """The sum over each window, divided by its size, which counts the padding, but not what stands over that."""

    _counts_pad = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(batch, spatial axes..., channels) to (batch, windows along each axis..., channels)."""
        size, extents = 1, self._extents(x)
        for i, extent in enumerate(extents):
            size = size * tf.reshape(self._counts(i, extent), (-1, *(1,) * (len(extents) - i)))
        return self._averaged(x) * (math.prod(self.kernel_size) / tf.cast(size, x.dtype))

    def _counts(self, i: int, extent: int | tf.Tensor) -> tf.Tensor:
        """For each window along spatial axis ``i``, how many places of the padded input (or the input) it holds."""
        start = tf.range(self._windows(i, extent)) * self.stride[i] - self.pad[i][0]
        stop = start + self.kernel_size[i]
        if self._counts_pad:
            return tf.minimum(stop, extent + self.pad[i][1]) - start
        return tf.minimum(stop, extent) - tf.maximum(start, 0)


@keras.saving.register_keras_serializable(package="caffe2tf")
class AveragePoolingWithoutPadding(AveragePooling):
    """The sum over each window, divided by the count of its places within the input."""

    _counts_pad = False


@keras.saving.register_keras_serializable(package="caffe2tf")
class StochasticPooling(_Pooling):
    """What a value of each window, drawn with a chance in proportion to it, is on average.

    ``sum(x * x) / sum(x)``; 0 where the sum is not positive. Nothing is drawn, in training either.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(batch, spatial axes..., channels) to (batch, windows along each axis..., channels)."""
        total = self._averaged(x)
        positive = total > 0
        return tf.where(positive, self._averaged(x * x) / tf.where(positive, total, 1), 0)


def _smaller(a: int | tf.Tensor, b: int | tf.Tensor) -> int | tf.Tensor:
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else tf.minimum(a, b)
