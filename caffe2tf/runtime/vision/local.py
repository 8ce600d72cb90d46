"""LocallyConnected: a convolution whose weights differ from pixel to pixel."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from caffe2tf.runtime.vision.convolution import WindowLayer, known_shape, pad_spatial

__all__ = ["LocallyConnected"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class LocallyConnected(WindowLayer):
    """Convolution over images in which each output pixel has its own weights.

    Keras 3 has no such layer. `padding` adds zeros on both sides of each spatial axis.

    Args:
        filters: int. The number of output channels.
        kernel_size: pair of ints. Height and width of the window.
        shared_bias: bool. Whether all output pixels share one bias. Defaults to False.
        **kwargs: the other arguments of `WindowLayer`.

    Input shape:
        ``(N, H, W, C)``. All but `N` must be known when the layer is built.

    Output shape:
        ``(N, rows, columns, filters)``, where each of `rows` and `columns` is
        ``(n + 2 * padding - dilation_rate * (kernel_size - 1) - 1) // strides + 1`` for an extent of ``n``.

    Weights:
        `kernel`: ``(rows, columns, *kernel_size, C / groups, filters)``; `bias`: ``(rows, columns, filters)``, or
        ``(filters,)`` if it is shared.
    """

    def __init__(
        self, filters: int, kernel_size: Sequence[int], *, shared_bias: bool = False, **kwargs: object
    ) -> None:
        super().__init__(filters, kernel_size, **kwargs)  # type: ignore[arg-type]  # those of WindowLayer
        self.shared_bias = shared_bias

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create the kernel and the bias for an input of known height, width and channels."""
        places = tuple(self.extent(i, n) for i, n in enumerate(input_shape[1:3]))
        kernel = (*places, *self.kernel_size, input_shape[-1] // self.groups, self.filters)
        self.kernel = self.add_weight(name="kernel", shape=kernel)
        if self.use_bias:
            bias = (self.filters,) if self.shared_bias else (*places, self.filters)
            self.bias = self.add_weight(name="bias", shape=bias, initializer="zeros")

    def sum_windows(self, x: tf.Tensor) -> tf.Tensor:
        """Return the products of the values of each window of ``x`` (N, H, W, C) and its weights."""
        x = pad_spatial(x, [(p, p) for p in self.padding])
        sizes, steps, gaps = ((1, *pair, 1) for pair in (self.kernel_size, self.strides, self.dilation_rate))
        values = tf.image.extract_patches(x, sizes, steps, gaps, "VALID")
        down, across, *_, each, filters = self.kernel.shape
        if self.groups == 1:
            return tf.einsum("nhwi,hwio->nhwo", values, tf.reshape(self.kernel, (down, across, -1, filters)))
        values = tf.reshape(values, (-1, down, across, values.shape[-1] // (self.groups * each), self.groups, each))
        kernel = tf.reshape(self.kernel, (down, across, -1, each, self.groups, filters // self.groups))
        y = tf.einsum("nhwkgi,hwkigo->nhwgo", values, kernel)
        return tf.reshape(y, (*known_shape(y)[:3], filters))

    def extent(self, axis: int, n: int) -> int:
        """Return the number of windows along a spatial axis of ``n`` values."""
        reach = self.dilation_rate[axis] * (self.kernel_size[axis] - 1)
        return (n + 2 * self.padding[axis] - reach - 1) // self.strides[axis] + 1

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "shared_bias": self.shared_bias}
