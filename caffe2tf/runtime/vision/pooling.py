"""Pooling with windows that Keras cannot place as Caffe does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["AveragePooling", "AveragePoolingWithoutPadding", "MaxPooling", "MaxPoolingWithMask", "StochasticPooling"]


class _Pooling(keras.layers.Layer):
    """Base class of the pooling layers.

    Caffe rounds the number of windows up, so that the last window may extend beyond the padded input:
    ``ceil((n + pad_before + pad_after - kernel_size) / stride) + 1`` for an axis of ``n`` values. Keras rounds down.
    On a CPU, TensorFlow pools three spatial axes in float32 and bfloat16 only.

    Args:
        kernel_size: int, or sequence of ints. The extent of the window along each spatial axis. One int stands for two
            spatial axes.
        stride: int, or sequence of ints. The step between windows along each spatial axis. Defaults to 1.
        pad: int, or sequence with an int or a ``(before, after)`` pair for each spatial axis. The padding on both sides
            of the input. Defaults to 0.
        round_mode: ``"CEIL"``, or ``"FLOOR"`` to drop a last window that extends beyond the padded input. Defaults to
            ``"CEIL"``.
        clip: bool. Whether windows are dropped that begin at or beyond the end of the input, if there is any padding.
            Caffe does so for images. Defaults to True.

    Input shape:
        ``(N, H, W, C)``, or ``(N, spatial axes..., C)``. Spatial extents may be unknown until the layer is called.

    Output shape:
        ``(N, rows, columns, C)``, or ``(N, windows along each spatial axis..., C)``.
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
        """Return the constructor's arguments."""
        own = {
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "pad": self.pad,
            "round_mode": self.round_mode,
            "clip": self.clip,
        }
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> object:
        """Return the output shape, with None for an extent that follows from an unknown one."""
        extents = (None if n is None else self._windows(i, n) for i, n in enumerate(input_shape[1:-1]))
        return (input_shape[0], *extents, input_shape[-1])

    def _windows(self, i: int, extent: int | tf.Tensor) -> int | tf.Tensor:
        """Return the number of windows along spatial axis ``i``."""
        free = extent + sum(self.pad[i]) - self.kernel_size[i]
        out = (-(-free // self.stride[i]) if self.round_mode == "CEIL" else free // self.stride[i]) + 1
        if not (self.clip and any(map(any, self.pad))):
            return out
        return _smaller(out, -(-(extent + self.pad[i][0]) // self.stride[i]))

    def _extents(self, x: tf.Tensor) -> list[int | tf.Tensor]:
        return [tf.shape(x)[a] if x.shape[a] is None else x.shape[a] for a in range(1, len(x.shape) - 1)]

    def _padded(self, x: tf.Tensor, value: float) -> tf.Tensor:
        """Return ``x`` padded with ``value``, so that it contains every window."""
        pads = []
        for i, extent in enumerate(self._extents(x)):
            used = (self._windows(i, extent) - 1) * self.stride[i] + self.kernel_size[i]
            pads.append((self.pad[i][0], -_smaller(extent + self.pad[i][0] - used, 0)))
        return tf.pad(x, [(0, 0), *pads, (0, 0)], constant_values=value)

    def _averaged(self, x: tf.Tensor) -> tf.Tensor:
        """Return the sum over each window, divided by the number of values of the window."""
        return tf.nn.avg_pool(self._padded(x, 0), self.kernel_size, self.stride, "VALID", self._format())

    def _format(self) -> str:
        """Return TensorFlow's name of the data format; without it, 3-D pooling has no gradient in eager mode."""
        return ("NWC", "NHWC", "NDHWC")[len(self.kernel_size) - 1]


@keras.saving.register_keras_serializable(package="caffe2tf")
class MaxPooling(_Pooling):
    """Max pooling with Caffe's windows. Padding never is the maximum.

    For the arguments and shapes see the base class: `kernel_size`, `stride`, `pad`, `round_mode` and `clip`.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the maximum of each window."""
        padded = self._padded(x, x.dtype.min)
        return tf.nn.max_pool(padded, self.kernel_size, self.stride, "VALID", self._format())


@keras.saving.register_keras_serializable(package="caffe2tf")
class MaxPoolingWithMask(_Pooling):
    """Max pooling of images that also returns where each maximum is.

    The second output, the mask, is ``row * width + column`` of the maximum in the input, or -1 for a window without a
    value of the input. Of equal values the first is taken. ``tf.nn.max_pool_with_argmax`` has no padding and counts
    channels too. The mask has at least float32 precision, also under a float16 policy. `UpsampleByMask` reads it.

    For the arguments see the base class: `kernel_size`, `stride`, `pad`, `round_mode` and `clip`.

    Input shape:
        ``(N, H, W, C)``.

    Output shape:
        Two tensors, values and mask, both ``(N, rows, columns, C)``.
    """

    _known_to_xla = False

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> object:
        """Return the shapes of the values and of the mask, which are equal."""
        return [super().compute_output_shape(input_shape)] * 2

    def compute_output_spec(self, inputs: keras.KerasTensor) -> list[keras.KerasTensor]:
        """Return the specifications of the values and of the mask."""
        shape = super().compute_output_shape(inputs.shape)
        dtypes = (self.compute_dtype, keras.backend.result_type(self.compute_dtype, "float32"))
        return [keras.KerasTensor(shape, dtype=dtype) for dtype in dtypes]

    def call(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the maxima and their positions."""
        padded = self._padded(x, x.dtype.min)
        top, at = tf.nn.max_pool_with_argmax(padded, self.kernel_size, self.stride, "VALID")
        shape = tf.shape(padded, tf.int64)
        place = at // shape[3]
        row, column = place // shape[2] - self.pad[0][0], place % shape[2] - self.pad[1][0]
        mask = tf.where(top > x.dtype.min, row * tf.shape(x, tf.int64)[2] + column, -1)
        return top, tf.cast(mask, keras.backend.result_type(x.dtype, "float32"))  # float16 would round it above 2048


@keras.saving.register_keras_serializable(package="caffe2tf")
class AveragePooling(_Pooling):
    """Average pooling with Caffe's windows: the sum over each window, divided by the size of the window.

    As in Caffe, the size counts the padding, but not what extends beyond the padding. Keras ignores the padding.

    For the arguments and shapes see the base class: `kernel_size`, `stride`, `pad`, `round_mode` and `clip`.
    """

    _counts_pad = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the average of each window."""
        size, extents = 1, self._extents(x)
        for i, extent in enumerate(extents):
            size = size * tf.reshape(self._counts(i, extent), (-1, *(1,) * (len(extents) - i)))
        return self._averaged(x) * (math.prod(self.kernel_size) / tf.cast(size, x.dtype))

    def _counts(self, i: int, extent: int | tf.Tensor) -> tf.Tensor:
        """Return for each window along spatial axis ``i`` how many values of the (padded) input it has."""
        start = tf.range(self._windows(i, extent)) * self.stride[i] - self.pad[i][0]
        stop = start + self.kernel_size[i]
        if self._counts_pad:
            return tf.minimum(stop, extent + self.pad[i][1]) - start
        return tf.minimum(stop, extent) - tf.maximum(start, 0)


@keras.saving.register_keras_serializable(package="caffe2tf")
class AveragePoolingWithoutPadding(AveragePooling):
    """Average pooling with Caffe's windows: the mean of the values of each window that are in the input.

    Padding is ignored, as in forks of Caffe with ``avg_include_pad: false`` or ``pool: AVE_EXC_PAD``.

    For the arguments and shapes see the base class: `kernel_size`, `stride`, `pad`, `round_mode` and `clip`.
    """

    _counts_pad = False


@keras.saving.register_keras_serializable(package="caffe2tf")
class StochasticPooling(_Pooling):
    """Stochastic pooling as Caffe computes it at inference: ``sum(x ** 2) / sum(x)`` over each window.

    This is the expected value if each value of a window is drawn with a probability in proportion to it. The output is
    0 where the sum is not positive. Nothing is drawn in training either.

    For the arguments and shapes see the base class: `kernel_size`, `stride`, `round_mode`. Caffe allows no `pad`.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the average of each window."""
        total = self._averaged(x)
        positive = total > 0
        return tf.where(positive, self._averaged(x * x) / tf.where(positive, total, 1), 0)


def _smaller(a: int | tf.Tensor, b: int | tf.Tensor) -> int | tf.Tensor:
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else tf.minimum(a, b)
