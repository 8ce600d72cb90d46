"""Deconvolution (transposed convolution) with any number of spatial axes, groups, strides and dilation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from caffe2tf.runtime.vision.convolution import WindowLayer, correlate, known_shape, pad_spatial

__all__ = ["Deconvolution"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Deconvolution(WindowLayer):
    """Transposed convolution with any number of batch and spatial axes, and any mix of groups, strides and dilation.

    Each input value adds the kernel, multiplied by it, to a window of the output. `strides` are the distances between
    these windows, and `padding` is the number of values that are cut off the output on both sides of each spatial axis.
    ``keras.layers.Conv2DTranspose`` and its relatives have no groups, and no strides together with dilation. For the
    arguments see `WindowLayer`.

    Input shape:
        ``(N, H, W, C)``, or ``(batch axes..., spatial axes..., C)`` with one spatial axis, possibly none, for each
        entry of `kernel_size`. Only `C` must be known when the layer is built.

    Output shape:
        The batch axes; ``strides * (n - 1) + dilation_rate * (kernel_size - 1) + 1 - 2 * padding`` for each spatial
        axis of ``n`` values; and `filters`.

    Weights:
        `kernel`: ``(*kernel_size, filters / groups, C)``; `bias`: ``(filters,)``.
    """

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create the kernel and the bias."""
        self.make_weights((*self.kernel_size, self.filters // self.groups, input_shape[-1]))

    def sum_windows(self, x: tf.Tensor) -> tf.Tensor:
        """Return the deconvolution of ``x`` (batch, spatial axes..., channels)."""
        return transposed_correlate(x, self.kernel, self.strides, self.padding, self.dilation_rate, self.groups)

    def extent(self, axis: int, n: int) -> int:
        """Return the extent of all windows together, less the padding."""
        reach = self.dilation_rate[axis] * (self.kernel_size[axis] - 1)
        return self.strides[axis] * (n - 1) + reach + 1 - 2 * self.padding[axis]


def transposed_correlate(
    x: tf.Tensor,
    kernel: tf.Tensor,
    strides: Sequence[int],
    padding: Sequence[int],
    dilations: Sequence[int],
    groups: int,
) -> tf.Tensor:
    """Return the transposed convolution of ``x`` (batch, spatial..., channels), as a convolution without a stride.

    Along an axis of stride s, output values that are s apart are a convolution of the input by every s-th value of the
    window. One convolution with s times as many filters computes all of them, one phase for each offset, and the phases
    are interleaved. A common divisor of stride and dilation is removed from both, and zeros are inserted between the
    results.
    """
    stretch, steps, gaps = [], [], []
    for axis, (s, d) in enumerate(zip(strides, dilations, strict=True)):
        if d == 0:  # all values of the window read the same place
            kernel = tf.reduce_sum(kernel, axis, keepdims=True)
        single = kernel.shape[axis] == 1
        common = s if single else math.gcd(s, d)
        step, gap = s // common, 1 if single else d // common
        if step > 1 and gap > 1:
            kernel, gap = insert_zeros(kernel, axis, gap), 1
        stretch.append(common)
        steps.append(step)
        gaps.append(gap)
    lengths = [
        common * (step * (n - 1) + gap * (k - 1)) + 1
        for n, k, step, gap, common in zip(known_shape(x)[1:-1], kernel.shape[:-2], steps, gaps, stretch, strict=True)
    ]
    phases = by_phase(kernel, steps, groups)
    margins = [gap * (k - 1) for k, gap in zip(phases.shape[:-2], gaps, strict=True)]
    x = pad_spatial(x, [(m, m) for m in margins])
    x = correlate(x, phases, (1,) * len(steps), gaps, groups)
    x = side_by_side(x, steps, groups)
    for axis, common in enumerate(stretch, start=1):
        x = insert_zeros(x, axis, common)
    return x[(slice(None), *(slice(p, n - p) for n, p in zip(lengths, padding, strict=True)))]


def by_phase(kernel: tf.Tensor, steps: Sequence[int], groups: int) -> tf.Tensor:
    """Return a kernel (window..., filters / groups, channels) as that of the convolution in `transposed_correlate`.

    Its shape is (windows..., channels / groups, filters of all phases). Filters are ordered by group, then by phase.
    """
    rank = len(steps)
    for axis, step in enumerate(steps):  # tf.reverse takes at most 8 axes
        shape = kernel.shape
        count = -(-shape[axis] // step)
        rows = tf.reshape(kernel, (math.prod(shape[:axis]), shape[axis], -1))
        rows = tf.pad(rows, ((0, 0), (0, count * step - shape[axis]), (0, 0)))
        rows = tf.reverse(tf.reshape(rows, (rows.shape[0], count, -1)), (1,))
        kernel = tf.reshape(rows, (*shape[:axis], count * step, *shape[axis + 1 :]))
    windows = [k // s for k, s in zip(kernel.shape[:-2], steps, strict=True)]
    filters, channels = kernel.shape[-2:]
    split = [n for pair in zip(windows, steps, strict=True) for n in pair]
    kernel = tf.reshape(kernel, (*split, filters, groups, channels // groups))
    last = 2 * rank
    kernel = tf.transpose(kernel, (*range(0, last, 2), last + 2, last + 1, *range(1, last, 2), last))
    return tf.reshape(kernel, (*windows, channels // groups, groups * math.prod(steps) * filters))


def side_by_side(x: tf.Tensor, steps: Sequence[int], groups: int) -> tf.Tensor:
    """Return ``x`` (batch, spatial..., groups * phases * filters) with the phases interleaved."""
    rank = len(steps)
    if max(steps, default=1) == 1:
        return x
    batch, *spatial, channels = known_shape(x)
    filters = channels // groups // math.prod(steps)
    x = tf.reshape(x, (batch, *spatial, groups, *steps, filters))
    pairs = (axis for i in range(1, rank + 1) for axis in (i, i + rank + 1))
    x = tf.transpose(x, (0, *pairs, rank + 1, 2 * rank + 2))
    return tf.reshape(x, (batch, *(n * s for n, s in zip(spatial, steps, strict=True)), groups * filters))


def insert_zeros(x: tf.Tensor, axis: int, step: int) -> tf.Tensor:
    """Return ``x`` with ``step - 1`` zeros between neighboring values along ``axis``."""
    if step == 1:
        return x
    shape = known_shape(x)
    n = shape[axis]
    rows = tf.reshape(x, (math.prod(shape[:axis]), n, 1, math.prod(shape[axis + 1 :])))
    rows = tf.pad(rows, ((0, 0), (0, 0), (0, step - 1), (0, 0)))
    rows = tf.reshape(rows, (*shape[:axis], n * step, *shape[axis + 1 :]))
    return rows[(*(slice(None),) * axis, slice(0, (n - 1) * step + 1))]
