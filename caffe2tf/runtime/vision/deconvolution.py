"""Deconvolution (transposed convolution) with any count of spatial axes, groups, strides and dilation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from caffe2tf.runtime.vision.convolution import WindowLayer, correlate, known_shape, pad_spatial

__all__ = ["Deconvolution"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Deconvolution(WindowLayer):
    """The transpose of a convolution, where Keras has no layer for it: every input value adds a window to the output.

    The input is (batch axes..., spatial axes..., channels) with any count of batch axes and of spatial axes, none
    included. The kernel is (window..., filters / groups, channels). ``strides`` are distances between windows in the
    output, ``padding`` is how many output values are left out on both sides of each spatial axis: an output extent is
    ``strides * (n - 1) + dilation_rate * (kernel_size - 1) + 1 - 2 * padding``. For the other arguments see
    `WindowLayer`.
    """

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Makes kernel and bias."""
        self.make_weights((*self.kernel_size, self.filters // self.groups, input_shape[-1]))

    def sum_windows(self, x: tf.Tensor) -> tf.Tensor:
        """The deconvolution of ``x`` (batch, spatial axes..., channels)."""
        return transposed_correlate(x, self.kernel, self.strides, self.padding, self.dilation_rate, self.groups)

    def extent(self, axis: int, n: int) -> int:
        """All windows together, less the padding."""
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
    """The transposed convolution of ``x`` (batch, spatial..., channels), in as many steps as the input has values.

    Along an axis of stride s, output values s apart are a convolution of the input by every s-th value of the window.
    So one convolution with s times as many filters gives all of them, and they are put side by side. What stride and
    dilation have in common is left out of both; zeros go between the results in the end.
    """
    stretch, steps, gaps = [], [], []
    for axis, (s, d) in enumerate(zip(strides, dilations, strict=True)):
        if d == 0:  # every value of the window at one place
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
    """A kernel (window..., filters / groups, channels) as that of the convolution in `transposed_correlate`.

    It is (windows..., channels / groups, filters of all phases): group by group, in each phase by phase.
    """
    rank = len(steps)
    for axis, step in enumerate(steps):  # TensorFlow reverses no more than 8 axes
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
    """``x`` (batch, spatial..., groups * phases * filters) with the phases between each other's values."""
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
    """``x`` with its values along ``axis`` ``step`` apart, and zeros between them, none after the last."""
    if step == 1:
        return x
    shape = known_shape(x)
    n = shape[axis]
    rows = tf.reshape(x, (math.prod(shape[:axis]), n, 1, math.prod(shape[axis + 1 :])))
    rows = tf.pad(rows, ((0, 0), (0, 0), (0, step - 1), (0, 0)))
    rows = tf.reshape(rows, (*shape[:axis], n * step, *shape[axis + 1 :]))
    return rows[(*(slice(None),) * axis, slice(0, (n - 1) * step + 1))]
