"""Crop and CropLike: a part of a tensor."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Crop", "CropLike"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Crop(keras.layers.Layer):
    """Cuts off margins along any axes, the first included.

    Args:
        margins: for each axis, how much to cut off in front and behind.
    """

    def __init__(self, margins: Sequence[tuple[int, int]], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.margins = tuple((before, after) for before, after in margins)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape of as many axes as there are margins."""
        return x[tuple(slice(before, -after or None) for before, after in self.margins)]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Less by the margins."""
        return tuple(None if d is None else d - sum(m) for d, m in zip(input_shape, self.margins, strict=True))

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "margins": self.margins}


@keras.saving.register_keras_serializable(package="caffe2tf")
class CropLike(keras.layers.Layer):
    """Of the first of two tensors, a part with extents of the second.

    Args:
        at: for each cropped axis, the axis of the first tensor, the axis of the second whose extent it gets, and the
            index at which the part begins.
    """

    def __init__(self, at: Sequence[tuple[int, int, int]], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.at = tuple((axis, other, start) for axis, other, start in at)

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The tensor to crop, and the one that tells how large the part is."""
        x, like = inputs
        extents = tf.shape(like)
        index = [slice(None)] * len(x.shape)
        for axis, other, start in self.at:
            index[axis] = slice(start, start + extents[other])
        return x[tuple(index)]

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """The first tensor's shape, with the second's extents along the cropped axes."""
        first, second = input_shape
        shape = list(first)
        for axis, other, _ in self.at:
            shape[axis] = second[other]
        return tuple(shape)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "at": self.at}
