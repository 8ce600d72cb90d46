"""Crop and CropLike: cut a part out of a tensor."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Crop", "CropLike"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Crop(keras.layers.Layer):
    """Cuts margins off a tensor along any axis, including the batch axis.

    ``keras.layers.Cropping2D`` and its relatives cut spatial axes only.

    Args:
        margins: sequence of ``(before, after)`` pairs of ints, one pair for each axis of the input: how many indices
            to cut off at the start and at the end of the axis.

    Input shape:
        Any shape with one axis for each pair.

    Output shape:
        Each extent less the two margins of its axis.
    """

    def __init__(self, margins: Sequence[tuple[int, int]], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.margins = tuple((before, after) for before, after in margins)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Slice the input."""
        return x[tuple(slice(before, -after or None) for before, after in self.margins)]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape less the margins."""
        return tuple(None if d is None else d - sum(m) for d, m in zip(input_shape, self.margins, strict=True))

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "margins": self.margins}


@keras.saving.register_keras_serializable(package="caffe2tf")
class CropLike(keras.layers.Layer):
    """Crops one tensor to extents of another tensor, which are read when the model runs.

    Caffe crops to the shape of a reference blob. `Crop` does the same where all extents are known when the model is
    built; this layer serves where one of them is not. Only the shape of the second input is read.

    Args:
        at: sequence of ``(axis, other, start)`` triples of ints, one for each cropped axis. `axis` of the first input
            is cut to the extent of axis `other` of the second input; the part begins at index `start`.

    Input shape:
        A list of two tensors of any shape: the tensor to crop, and the reference.

    Output shape:
        The shape of the first input, with the extents of the second input along the cropped axes.
    """

    def __init__(self, at: Sequence[tuple[int, int, int]], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.at = tuple((axis, other, start) for axis, other, start in at)

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Slice the first input to extents of the second input."""
        x, like = inputs
        extents = tf.shape(like)
        index = [slice(None)] * len(x.shape)
        for axis, other, start in self.at:
            index[axis] = slice(start, start + extents[other])
        return x[tuple(index)]

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return the first shape with extents of the second shape along the cropped axes."""
        first, second = input_shape
        shape = list(first)
        for axis, other, _ in self.at:
            shape[axis] = second[other]
        return tuple(shape)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "at": self.at}
