"""Products of tensors that are repeated along the axes which they lack."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["MultiplyBroadcast", "MultiplyByWeight"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class MultiplyBroadcast(keras.layers.Layer):
    """The product of two tensors; along each axis both extents are equal, or one is 1 and serves for all indices.

    Args:
        missing: for each tensor, the axes of the product that it lacks, ascending.
    """

    def __init__(self, missing: Sequence[Sequence[int]] = ((), ()), **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.missing = tuple(tuple(axes) for axes in missing)

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Two tensors."""
        first, second = (_with_axes(x, axes) for x, axes in zip(inputs, self.missing, strict=True))
        return first * second

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """The larger extent along each axis."""
        shapes = [list(shape) for shape in input_shape]
        for shape, axes in zip(shapes, self.missing, strict=True):
            for axis in axes:
                shape.insert(axis, 1)
        return _larger_extents(*shapes)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "missing": self.missing}


@keras.saving.register_keras_serializable(package="caffe2tf")
class MultiplyByWeight(keras.layers.Layer):
    """The product of a tensor and a trained factor; along each axis both extents are equal, or one is 1.

    Args:
        shape: of the factor; where it has more axes than the input, the input gets as many in front.
    """

    def __init__(self, shape: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the factor."""
        del input_shape
        self.factor = self.add_weight(name="factor", shape=self.shape, initializer="ones")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape that fits the factor's."""
        return x * tf.cast(self.factor, x.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The larger extent along each axis."""
        rank = max(len(input_shape), len(self.shape))
        return _larger_extents(*((1,) * (rank - len(s)) + tuple(s) for s in (input_shape, self.shape)))

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "shape": self.shape}


def _with_axes(x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    for axis in axes:
        x = tf.expand_dims(x, axis)
    return x


def _larger_extents(first: Sequence[int | None], second: Sequence[int | None]) -> tuple[int | None, ...]:
    return tuple(a if b == 1 or (b is None and a != 1) else b for a, b in zip(first, second, strict=True))
