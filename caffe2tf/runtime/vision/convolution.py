"""Convolution with any number of spatial axes and any mix of groups, strides and dilation, on any device."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Convolution", "WindowLayer", "correlate", "known_shape", "pad_spatial"]

Extents = tuple[int | None, ...]


class WindowLayer(keras.layers.Layer):
    """Base class of `Convolution`, `Deconvolution` and `LocallyConnected`.

    The input is ``(batch axes..., spatial axes..., C)``. The length of `kernel_size` is the number of spatial axes.

    Args:
        filters: int. The number of output channels.
        kernel_size: sequence of ints. The extent of the window along each spatial axis.
        strides: sequence of ints or None. The step along each spatial axis; None stands for 1. Defaults to None.
        padding: sequence of ints or None. The number of values added to the input, or cut off the output, on both
            sides of each spatial axis; None stands for 0. Defaults to None.
        dilation_rate: sequence of ints or None. The distance between the values of the window along each spatial axis;
            None stands for 1. Defaults to None.
        groups: int. The number of groups of channels: each group of filters reads one group of input channels.
            Defaults to 1.
        activation: an activation function or its name, or None. Applied to the output. Defaults to None.
        use_bias: bool. Whether a bias is added to each output channel. Defaults to True.
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
        """Return the activation of the sums over the windows plus the bias."""
        rank = len(self.kernel_size)
        x = self.sum_windows(merge_batch(inputs, rank))
        if self.use_bias:
            x = x + self.bias
        x = split_batch(self.activation(x), inputs, rank)
        return tf.ensure_shape(x, self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape: Extents) -> Extents:
        """Return the batch axes of the input, the output extent along each spatial axis, and the filters."""
        first = len(input_shape) - len(self.kernel_size) - 1
        spatial = tuple(None if n is None else self.extent(i, n) for i, n in enumerate(input_shape[first:-1]))
        return (*input_shape[:first], *spatial, self.filters)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
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
        """Create a kernel of the given shape, and the bias."""
        self.kernel = self.add_weight(name="kernel", shape=kernel)
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def sum_windows(self, x: tf.Tensor) -> tf.Tensor:
        """Return the sums over the windows of ``x`` (batch, spatial axes..., channels)."""
        raise NotImplementedError

    def extent(self, axis: int, n: int) -> int:
        """Return the output extent along a spatial axis of ``n`` input values."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="caffe2tf")
class Convolution(WindowLayer):
    """Convolution with any number of batch and spatial axes, and any mix of groups, strides and dilation.

    ``keras.layers.Conv1D`` to ``Conv3D`` have one batch axis, at most three spatial axes, and no strides together with
    dilation. As in Caffe, `padding` adds zeros on both sides of each spatial axis. An input that is smaller than the
    window even so is filled up with zeros at its end. For the arguments see `WindowLayer`.

    Input shape:
        ``(N, H, W, C)``, or ``(batch axes..., spatial axes..., C)`` with one spatial axis, possibly none, for each
        entry of `kernel_size`. Only `C` must be known when the layer is built.

    Output shape:
        The batch axes; ``(n + 2 * padding - dilation_rate * (kernel_size - 1) - 1) // strides + 1`` for each spatial
        axis of ``n`` values, at least 1; and `filters`.

    Weights:
        `kernel`: ``(*kernel_size, C / groups, filters)``; `bias`: ``(filters,)``.
    """

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create the kernel and the bias."""
        self.make_weights((*self.kernel_size, input_shape[-1] // self.groups, self.filters))

    def sum_windows(self, x: tf.Tensor) -> tf.Tensor:
        """Return the padded convolution of ``x`` (batch, spatial axes..., channels)."""
        pads = []
        for i, n in enumerate(known_shape(x)[1:-1]):
            missing = self._reach(i) + 1 - n - 2 * self.padding[i]
            more = max(missing, 0) if isinstance(n, int) else tf.maximum(missing, 0)
            pads.append((self.padding[i], self.padding[i] + more))
        x = pad_spatial(x, pads)
        return correlate(x, self.kernel, self.strides, self.dilation_rate, self.groups)

    def extent(self, axis: int, n: int) -> int:
        """Return the number of windows along a spatial axis of ``n`` values."""
        return max(n + 2 * self.padding[axis] - self._reach(axis) - 1, 0) // self.strides[axis] + 1

    def _reach(self, axis: int) -> int:
        return self.dilation_rate[axis] * (self.kernel_size[axis] - 1)


def merge_batch(x: tf.Tensor, rank: int) -> tf.Tensor:
    """Return ``x`` with all axes before the last ``rank + 1`` merged into one."""
    lead = len(x.shape) - rank - 1
    return x if lead == 1 else tf.reshape(x, (-1, *known_shape(x)[lead:]))


def split_batch(x: tf.Tensor, like: tf.Tensor, rank: int) -> tf.Tensor:
    """Undo `merge_batch`: split the first axis of ``x`` into the batch axes of ``like``."""
    lead = len(like.shape) - rank - 1
    return x if lead == 1 else tf.reshape(x, (*known_shape(like)[:lead], *known_shape(x)[1:]))


def pad_spatial(x: tf.Tensor, pads: Sequence[tuple[int, int]]) -> tf.Tensor:
    """Return ``x`` (batch, spatial..., channels) with zeros before and after each spatial axis."""
    if len(pads) <= 4:
        return tf.pad(x, [(0, 0), *pads, (0, 0)])
    for axis, pair in enumerate(pads, start=1):  # tf.pad takes at most 6 axes
        before, after = known_shape(x)[:axis], known_shape(x)[axis + 1 :]
        rows = tf.reshape(x, (math.prod(before), known_shape(x)[axis], math.prod(after)))
        x = tf.reshape(tf.pad(rows, ((0, 0), pair, (0, 0))), (*before, -1, *after))
    return x


def known_shape(x: tf.Tensor) -> list[int | tf.Tensor]:
    """Return the extents of ``x``: ints where they are known, scalar tensors elsewhere."""
    dynamic = tf.shape(x)
    return [dynamic[i] if n is None else n for i, n in enumerate(x.shape)]


def correlate(
    x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], dilations: Sequence[int], groups: int
) -> tf.Tensor:
    """Return the convolution of ``x`` (batch, spatial..., channels) without padding.

    A common divisor of stride and dilation means that only every so many values of the input are read: those are
    sliced first. What remains is a single TensorFlow operation if there is one that has a gradient on a CPU, and a sum
    of matrix products over the places of the window otherwise.
    """
    grid, steps, gaps = [], [], []
    x, strides = without_idle_strides(x, kernel, strides, dilations)
    for axis, (k, s, d) in enumerate(zip(kernel.shape[:-2], strides, dilations, strict=True)):
        if d == 0:  # all values of the window read the same place
            kernel = tf.reduce_sum(kernel, axis, keepdims=True)
        common = s if d == 0 or k == 1 else math.gcd(s, d)
        grid.append(common)
        steps.append(s // common)
        gaps.append(1 if d == 0 or k == 1 else d // common)
    x = x[(slice(None), *(slice(None, None, g) for g in grid))] if max(grid, default=1) > 1 else x
    native = max(steps, default=1) == 1 or max(gaps, default=1) == 1
    if native and groups == 1 and 1 <= len(grid) <= 3:
        named = ("NWC", "NHWC", "NDHWC")[len(grid) - 1]  # unnamed, a 3-D convolution has no gradient in eager mode
        return tf.nn.convolution(x, kernel, strides=steps, padding="VALID", data_format=named, dilations=gaps)
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
    """Return ``x`` cut to the window, and a stride of 1, along axes that hold only one window.

    The stride has no effect there, but oneDNN has a defect: in an image of one channel whose windows have one column
    and several rows, it uses the columns' stride for the rows, and reads memory beyond the image.
    """
    part, steps = [slice(None)], []
    for n, k, s, d in zip(x.shape[1:-1], kernel.shape[:-2], strides, dilations, strict=True):
        reach = d * (k - 1) + 1
        idle = n is not None and s > 1 and (n - reach) // s == 0
        part.append(slice(reach if idle else None))
        steps.append(1 if idle else s)
    return (x if steps == list(strides) else x[tuple(part)]), steps


def mix_channels(x: tf.Tensor, weight: tf.Tensor, groups: int) -> tf.Tensor:
    """Return ``x`` (..., channels) times ``weight`` (channels / groups, filters), group by group."""
    if groups == 1:
        return tf.tensordot(x, weight, 1)
    each, filters = weight.shape
    shape = known_shape(x)[:-1]
    split = tf.reshape(weight, (each, groups, filters // groups))
    if each == 1:
        return tf.reshape(x[..., None] * split[0], (*shape, filters))
    x = tf.reshape(x, (*shape, groups, each))
    return tf.reshape(tf.einsum("...gi,igo->...go", x, split), (*shape, filters))
