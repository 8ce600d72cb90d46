"""Convolution with any count of spatial axes and any mixture of groups, strides and dilation, on any device."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Convolution", "WindowLayer", "correlate", "known_shape", "pad_spatial"]

Extents = tuple[int | None, ...]


class WindowLayer(keras.layers.Layer):
    """What `Convolution` and `Deconvolution` have in common: their arguments, and how the input is taken.

    Args:
        filters: output channels.
        kernel_size: the window, one number for each spatial axis.
        strides: steps along each spatial axis; 1 where left out.
        padding: what is added to the input, or left out of the output, on both sides of each spatial axis.
        dilation_rate: distance between the window's values along each spatial axis; 1 where left out.
        groups: groups of channels that see each other.
        activation: what is applied to the result.
        use_bias: whether a bias is added.
    """

    def __init__(  # noqa: PLR0913 - Keras' own arguments
        self,
        filters: int,
        kernel_size: Sequence[int],
        *,
        strides: Sequence[int] | None = None,
        padding: Sequence[int] | None = None,
        dilation_rate: Sequence[int] | None = None,
        groups: int = 1,
        activation: object = None,
        use_bias: bool = True,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        rank = len(kernel_size)
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.strides = (1,) * rank if strides is None else tuple(strides)
        self.padding = (0,) * rank if padding is None else tuple(padding)
        self.dilation_rate = (1,) * rank if dilation_rate is None else tuple(dilation_rate)
        self.groups = groups
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The sum over the windows, the bias, the activation."""
        rank = len(self.kernel_size)
        x = self.sum_windows(merge_batch(inputs, rank))
        if self.use_bias:
            x = x + self.bias
        x = split_batch(self.activation(x), inputs, rank)
        return tf.ensure_shape(x, self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape: Extents) -> Extents:
        """The input's batch axes, as many values along each spatial axis as there are, and the filters."""
        first = len(input_shape) - len(self.kernel_size) - 1
        spatial = tuple(None if n is None else self.extent(i, n) for i, n in enumerate(input_shape[first:-1]))
        return (*input_shape[:first], *spatial, self.filters)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        own = {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }
        return {**super().get_config(), **own}

    def make_weights(self, kernel: Sequence[int]) -> None:
        """Makes a kernel of that shape, and the bias."""
        self.kernel = self.add_weight(name="kernel", shape=kernel)
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def sum_windows(self, x: tf.Tensor) -> tf.Tensor:
        """The sum over the windows of ``x`` (batch, spatial axes..., channels)."""
        raise NotImplementedError

    def extent(self, axis: int, n: int) -> int:
        """How many values come out along spatial ``axis`` of ``n`` values."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="caffe2tf")
class Convolution(WindowLayer):
    """Weighted sum over sliding windows, where Keras has no layer for it.

    The input is (batch axes..., spatial axes..., channels) with any count of batch axes and of spatial axes, none
    included. The kernel is (window..., channels / groups, filters). ``padding`` is zeros on both sides; an input that
    is smaller than the window all the same is filled up with zeros behind it. For the arguments see `WindowLayer`.
    """

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Makes kernel and bias."""
        self.make_weights((*self.kernel_size, input_shape[-1] // self.groups, self.filters))

    def sum_windows(self, x: tf.Tensor) -> tf.Tensor:
        """The convolution of ``x`` (batch, spatial axes..., channels)."""
        pads = []
        for i, n in enumerate(known_shape(x)[1:-1]):
            missing = self._reach(i) + 1 - n - 2 * self.padding[i]
            more = max(missing, 0) if isinstance(n, int) else tf.maximum(missing, 0)
            pads.append((self.padding[i], self.padding[i] + more))
        x = pad_spatial(x, pads)
        return correlate(x, self.kernel, self.strides, self.dilation_rate, self.groups)

    def extent(self, axis: int, n: int) -> int:
        """The window's places along spatial ``axis``."""
        return max(n + 2 * self.padding[axis] - self._reach(axis) - 1, 0) // self.strides[axis] + 1

    def _reach(self, axis: int) -> int:
        return self.dilation_rate[axis] * (self.kernel_size[axis] - 1)


def merge_batch(x: tf.Tensor, rank: int) -> tf.Tensor:
    """``x`` with all axes before its last ``rank + 1`` made one."""
    lead = len(x.shape) - rank - 1
    return x if lead == 1 else tf.reshape(x, (-1, *known_shape(x)[lead:]))


def split_batch(x: tf.Tensor, like: tf.Tensor, rank: int) -> tf.Tensor:
    """Undoes `merge_batch`, the merged axes being those of ``like``."""
    lead = len(like.shape) - rank - 1
    return x if lead == 1 else tf.reshape(x, (*known_shape(like)[:lead], *known_shape(x)[1:]))


def pad_spatial(x: tf.Tensor, pads: Sequence[tuple[int, int]]) -> tf.Tensor:
    """``x`` (batch, spatial..., channels) with zeros before and after each spatial axis."""
    if len(pads) <= 4:
        return tf.pad(x, [(0, 0), *pads, (0, 0)])
    for axis, pair in enumerate(pads, start=1):  # TensorFlow pads no more than 6 axes
        before, after = known_shape(x)[:axis], known_shape(x)[axis + 1 :]
        rows = tf.reshape(x, (math.prod(before), known_shape(x)[axis], math.prod(after)))
        x = tf.reshape(tf.pad(rows, ((0, 0), pair, (0, 0))), (*before, -1, *after))
    return x


def known_shape(x: tf.Tensor) -> list[int | tf.Tensor]:
    """The extents of ``x``: numbers where they are known, else scalar tensors."""
    dynamic = tf.shape(x)
    return [dynamic[i] if n is None else n for i, n in enumerate(x.shape)]


def correlate(
    x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], dilations: Sequence[int], groups: int
) -> tf.Tensor:
    """The convolution of ``x`` (batch, spatial..., channels) without padding.

    What a stride and a dilation have in common is a coarser grid: the input's values between its points are left out
    first. TensorFlow computes what remains, where it can (and can differentiate it on a CPU); else it is a sum over
    the window of matrix products.
    """
    grid, steps, gaps = [], [], []
    x, strides = without_idle_strides(x, kernel, strides, dilations)
    for axis, (k, s, d) in enumerate(zip(kernel.shape[:-2], strides, dilations, strict=True)):
        if d == 0:  # every value of the window at one place
            kernel = tf.reduce_sum(kernel, axis, keepdims=True)
        common = s if d == 0 or k == 1 else math.gcd(s, d)
        grid.append(common)
        steps.append(s // common)
        gaps.append(1 if d == 0 or k == 1 else d // common)
    x = x[(slice(None), *(slice(None, None, g) for g in grid))] if max(grid, default=1) > 1 else x
    native = max(steps, default=1) == 1 or max(gaps, default=1) == 1
    if native and groups == 1 and 1 <= len(grid) <= 3:
        return tf.nn.convolution(x, kernel, strides=steps, padding="VALID", dilations=gaps)
    if native and kernel.shape[-2] == 1 and len(grid) == 2 and steps[0] == steps[1]:
        kernel = tf.reshape(kernel, (*kernel.shape[:2], groups, kernel.shape[-1] // groups))
        return tf.nn.depthwise_conv2d(x, kernel, (1, *steps, 1), "VALID", dilations=gaps)
    total = None
    for place in itertools.product(*(range(k) for k in kernel.shape[:-2])):
        part = [slice(None)]
        for i, k, s, d in zip(place, kernel.shape[:-2], steps, gaps, strict=True):
            part.append(slice(i * d, (i - k + 1) * d or None, s))
        product = mix_channels(x[tuple(part)], kernel[place], groups)
        total = product if total is None else total + product
    return total


def without_idle_strides(
    x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], dilations: Sequence[int]
) -> tuple[tf.Tensor, list[int]]:
    """``x`` without what no window reaches, and strides of 1, along axes on which the window has a single place.

    Over an image of one channel whose windows have one column and several rows, oneDNN takes the columns' stride for
    that of the rows, and reads what lies behind the image.
    """
    part, steps = [slice(None)], []
    for n, k, s, d in zip(x.shape[1:-1], kernel.shape[:-2], strides, dilations, strict=True):
        reach = d * (k - 1) + 1
        idle = n is not None and s > 1 and (n - reach) // s == 0
        part.append(slice(reach if idle else None))
        steps.append(1 if idle else s)
    return (x if steps == list(strides) else x[tuple(part)]), steps


def mix_channels(x: tf.Tensor, weight: tf.Tensor, groups: int) -> tf.Tensor:
    """``x`` (..., channels) times ``weight`` (channels / groups, filters), group by group."""
    if groups == 1:
        return tf.tensordot(x, weight, 1)
    each, filters = weight.shape
    shape = known_shape(x)[:-1]
    split = tf.reshape(weight, (each, groups, filters // groups))
    if each == 1:
        return tf.reshape(x[..., None] * split[0], (*shape, filters))
    x = tf.reshape(x, (*shape, groups, each))
    return tf.reshape(tf.einsum("...gi,igo->...go", x, split), (*shape, filters))
