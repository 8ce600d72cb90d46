"""TensorShape and ReshapeTo: extents as values."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["ReshapeTo", "TensorShape"]

Extents = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="caffe2tf")
class TensorShape(keras.layers.Layer):
    """The extents of a tensor along some axes, as numbers.

    Args:
        axes: which, in order.
    """

    def __init__(self, axes: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axes = tuple(axes)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """A tensor of one axis."""
        return tf.cast(tf.gather(tf.shape(x), self.axes), self.compute_dtype)

    def compute_output_shape(self, input_shape: Extents) -> Extents:
        """One number for each axis."""
        del input_shape
        return (len(self.axes),)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axes": self.axes}


@keras.saving.register_keras_serializable(package="caffe2tf")
class ReshapeTo(keras.layers.Layer):
    """The first of two tensors with the extents that the second holds, its first axis included.

    Args:
        rank: how many extents there are; the last may be -1: it is worked out.
    """

    def __init__(self, rank: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.rank = rank

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Any tensor, and one of `rank` numbers."""
        x, extents = inputs
        return tf.ensure_shape(tf.reshape(x, tf.cast(tf.round(extents), tf.int32)), (None,) * self.rank)

    def compute_output_shape(self, input_shape: Sequence[Extents]) -> Extents:
        """Not known."""
        del input_shape
        return (None,) * self.rank

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "rank": self.rank}
