"""Im2col: the values of sliding windows as channels."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Im2col"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Im2col(keras.layers.Layer):
    """Returns the values of each sliding window as channels.

    The channels of the output are, as in Caffe, the window's values of the first input channel in row-major order, then
    those of the second, and so on. ``tf.image.extract_patches`` orders them by place first, and takes two spatial axes
    only.

    Args:
        kernel_size: sequence of ints. The extent of the window along each spatial axis; its length is the number of
            spatial axes.
        stride: sequence of ints or None. The step between windows; None stands for 1. Defaults to None.
        pad: sequence of ints or None. The zeros on both sides of each spatial axis; None stands for 0. Defaults to
            None.
        dilation: sequence of ints or None. The step between the values of a window; None stands for 1. Defaults to
            None.

    Input shape:
        ``(N, H, W, C)``, or ``(..., spatial axes, C)``.

    Output shape:
        ``(N, rows, columns, C * kernel_size[0] * kernel_size[1])``, or the same with other numbers of axes. There are
        ``(n + 2 * pad - dilation * (kernel_size - 1) - 1) // stride + 1`` windows along a spatial axis of ``n`` values,
        at least 1.
    """

    def __init__(
        self,
        kernel_size: Sequence[int],
        *,
        stride: Sequence[int] | None = None,
        pad: Sequence[int] | None = None,
        dilation: Sequence[int] | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = tuple(kernel_size)
        rank = len(self.kernel_size)
        self.stride = tuple(stride or (1,) * rank)
        self.pad = tuple(pad or (0,) * rank)
        self.dilation = tuple(dilation or (1,) * rank)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {"kernel_size": self.kernel_size, "stride": self.stride, "pad": self.pad, "dilation": self.dilation}
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the output shape, with None for an extent that follows from an unknown one."""
        first = len(input_shape) - len(self.kernel_size) - 1
        windows = (None if n is None else self._windows(i, n) for i, n in enumerate(input_shape[first:-1]))
        channels = None if input_shape[-1] is None else input_shape[-1] * self._values()
        return (*input_shape[:first], *windows, channels)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the values of the windows."""
        first = x.shape.rank - len(self.kernel_size) - 1
        extents = [tf.shape(x)[a] if x.shape[a] is None else x.shape[a] for a in range(first, x.shape.rank - 1)]
        windows = [self._windows(i, n) for i, n in enumerate(extents)]
        pads = []
        for i, (n, count) in enumerate(zip(extents, windows, strict=True)):
            end = (count - 1) * self.stride[i] + self._extent(i) - self.pad[i]
            pads.append((self.pad[i], tf.maximum(end - n, 0)))
        padded = tf.pad(x, [(0, 0)] * first + pads + [(0, 0)])
        steps = ([j * d for j in range(k)] for k, d in zip(self.kernel_size, self.dilation, strict=True))
        offsets = itertools.product(*steps)
        columns = tf.stack([self._taken(padded, first, o, windows) for o in offsets], axis=-1)
        shape = tf.shape(columns)
        return tf.reshape(columns, tf.concat([shape[:-2], [shape[-2] * shape[-1]]], 0))

    def _taken(self, x: tf.Tensor, first: int, offset: Sequence[int], windows: Sequence[int | tf.Tensor]) -> tf.Tensor:
        """Return the value at ``offset`` of each window."""
        along = zip(offset, self.stride, windows, strict=True)
        places = [slice(o, o + (count - 1) * s + 1, s) for o, s, count in along]
        return x[(*(slice(None),) * first, *places)]

    def _windows(self, i: int, extent: int | tf.Tensor) -> int | tf.Tensor:
        """Return the number of windows along spatial axis ``i``: at least 1, even if the window exceeds the input."""
        free = extent + 2 * self.pad[i] - self._extent(i)
        count = free // self.stride[i] + 1
        return max(count, 1) if isinstance(count, int) else tf.maximum(count, 1)

    def _extent(self, i: int) -> int:
        return self.dilation[i] * (self.kernel_size[i] - 1) + 1

    def _values(self) -> int:
        count = 1
        for extent in self.kernel_size:
            count *= extent
        return count
