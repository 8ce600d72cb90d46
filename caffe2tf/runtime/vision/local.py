"""LocallyConnected: a convolution with weights of their own for each place of its output."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from caffe2tf.runtime.vision.convolution import WindowLayer, known_shape, pad_spatial

__all__ = ["LocallyConnected"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class LocallyConnected(WindowLayer):
    """Weighted sum over sliding windows, whose weights differ from place to place.

    The input is (batch, height, width, channels), the kernel (places down, places across, window..., channels / groups,
    filters), the bias (places down, places across, filters). For the other arguments see `WindowLayer`.

    Args:
        filters: output channels.
        kernel_size: the window's height and width.
        shared_bias: whether all places have one bias, of shape (filters).
        **kwargs: see `WindowLayer`.
    """

    def __init__(
        self, filters: int, kernel_size: Sequence[int], *, shared_bias: bool = False, **kwargs: object
    ) -> None:
        super().__init__(filters, kernel_size, **kwargs)  # type: ignore[arg-type]  # those of WindowLayer
        self.shared_bias = shared_bias

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Makes kernel and bias for an input of known height, width and channels."""
        places = tuple(self.extent(i, n) for i, n in enumerate(input_shape[1:3]))
        kernel = (*places, *self.kernel_size, input_shape[-1] // self.groups, self.filters)
        self.kernel = self.add_weight(name="kernel", shape=kernel)
        if self.use_bias:
            bias = (self.filters,) if self.shared_bias else (*places, self.filters)
            self.bias = self.add_weight(name="bias", shape=bias, initializer="zeros")

    def sum_windows(self, x: tf.Tensor) -> tf.Tensor:
        """One matrix product for each place: the values under its window with its weights."""
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
        """The window's places down or across."""
        reach = self.dilation_rate[axis] * (self.kernel_size[axis] - 1)
        return (n + 2 * self.padding[axis] - reach - 1) // self.strides[axis] + 1

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "shared_bias": self.shared_bias}
