"""Products that broadcast, of two tensors or of a tensor and a trained factor."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["MultiplyBroadcast", "MultiplyByWeight"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class MultiplyBroadcast(keras.layers.Layer):
    """Multiplies two tensors, each of which is broadcast along the axes where its extent is 1.

    ``keras.layers.Multiply`` can only add missing axes at one place. Here each tensor may lack any axes of the product:
    ``MultiplyBroadcast(((), (1, 2)))`` multiplies images ``(N, H, W, C)`` by one factor ``(N, C)`` per channel.

    Args:
        missing: pair of sequences of ints. For each tensor, the axes of the product that it lacks, in ascending order.
            They are inserted with extent 1. Defaults to none for either.

    Input shape:
        A list of two tensors. With the missing axes inserted, the two extents along each axis are equal or one is 1.

    Output shape:
        The larger extent along each axis.
    """

    def __init__(self, missing: Sequence[Sequence[int]] = ((), ()), **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.missing = tuple(tuple(axes) for axes in missing)

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the product of the two inputs."""
        first, second = (_with_axes(x, axes) for x, axes in zip(inputs, self.missing, strict=True))
        return first * second

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return the larger extent along each axis."""
        shapes = [list(shape) for shape in input_shape]
        for shape, axes in zip(shapes, self.missing, strict=True):
            for axis in axes:
                shape.insert(axis, 1)
        return _larger_extents(*shapes)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "missing": self.missing}


@keras.saving.register_keras_serializable(package="caffe2tf")
class MultiplyByWeight(keras.layers.Layer):
    """Multiplies a tensor by a trained factor: ``x * factor``, broadcast as in NumPy.

    Args:
        shape: sequence of ints. The shape of the factor.

    Input shape:
        Any shape that broadcasts with `shape`.

    Output shape:
        The larger extent along each axis, where the last axes correspond.

    Weights:
        `factor`, of the given shape; initially 1.
    """

    def __init__(self, shape: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the factor."""
        del input_shape
        self.factor = self.add_weight(name="factor", shape=self.shape, initializer="ones")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the product of the input and the factor."""
        return x * tf.cast(self.factor, x.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the larger extent along each axis."""
        rank = max(len(input_shape), len(self.shape))
        return _larger_extents(*((1,) * (rank - len(s)) + tuple(s) for s in (input_shape, self.shape)))

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "shape": self.shape}


def _with_axes(x: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    for axis in axes:
        x = tf.expand_dims(x, axis)
    return x


def _larger_extents(first: Sequence[int | None], second: Sequence[int | None]) -> tuple[int | None, ...]:
    return tuple(a if b == 1 or (b is None and a != 1) else b for a, b in zip(first, second, strict=True))
