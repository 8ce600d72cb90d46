"""The values under a sliding window, unfolded."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Im2col"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Im2col(keras.layers.Layer):
    """For each place of a sliding window, the values under it, as channels.

    (..., spatial axes, channels) to (..., windows along each spatial axis, channels * kernel values): the kernel's
    values of the first channel, in row-major order, then those of the second, and so on. Outside the input is 0.

    Args:
        kernel_size: the window's extent along each spatial axis; their count tells how many there are.
        stride: steps between windows.
        pad: zeros on either side of the input.
        dilation: steps between the window's values.
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
        """Arguments of the constructor."""
        own = {"kernel_size": self.kernel_size, "stride": self.stride, "pad": self.pad, "dilation": self.dilation}
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """One place for each window; None where the input's extent is None."""
        first = len(input_shape) - len(self.kernel_size) - 1
        windows = (None if n is None else self._windows(i, n) for i, n in enumerate(input_shape[first:-1]))
        channels = None if input_shape[-1] is None else input_shape[-1] * self._values()
        return (*input_shape[:first], *windows, channels)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(..., spatial axes, channels) to (..., windows, channels * kernel values)."""
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
        """The value at ``offset`` of every window."""
        along = zip(offset, self.stride, windows, strict=True)
        places = [slice(o, o + (count - 1) * s + 1, s) for o, s, count in along]
        return x[(*(slice(None),) * first, *places)]

    def _windows(self, i: int, extent: int | tf.Tensor) -> int | tf.Tensor:
        """How many windows stand along spatial axis ``i``; one at least, even where it is larger than the input."""
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
