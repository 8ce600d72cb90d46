"""Flattening that ``keras.layers.Flatten`` does not offer: from a later axis on, or including the batch axis."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

__all__ = ["DropBatch", "FlattenBatch", "FlattenFrom"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class FlattenFrom(keras.layers.Layer):
    """Flattens all axes from `axis` on into one.

    ``keras.layers.Flatten`` always begins at axis 1.

    Args:
        axis: int, 1 or greater. The first axis that is flattened.

    Input shape:
        ``(d0, d1, ..., dn)`` with more than `axis` axes. Any extent may be unknown until the model runs.

    Output shape:
        ``(d0, ..., d[axis - 1], product of the remaining extents)``.
    """

    def __init__(self, axis: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Reshape the input."""
        target = self.compute_output_shape(tuple(x.shape))
        if target.count(None) < 2:  # tf.reshape infers one extent
            return tf.reshape(x, [-1 if d is None else d for d in target])
        dynamic = tf.shape(x)
        return tf.reshape(x, [*(dynamic[i] if d is None else d for i, d in enumerate(target[:-1])), -1])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the extents before `axis`, and the product of the others."""
        known = [d for d in input_shape[self.axis :] if d is not None]
        whole = len(known) == len(input_shape) - self.axis
        return (*input_shape[: self.axis], math.prod(known) if whole else None)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}


@keras.saving.register_keras_serializable(package="caffe2tf")
class FlattenBatch(keras.layers.Layer):
    """Flattens all axes, including the batch axis, into one row.

    Input shape:
        Any shape.

    Output shape:
        ``(1, values)``, where `values` is the number of values of the whole input. With `DropBatch` behind it, the
        result is a vector.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Reshape the input to one row."""
        return tf.reshape(x, [1, -1])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return one row of all values."""
        known = [d for d in input_shape if d is not None]
        return (1, math.prod(known) if len(known) == len(input_shape) else None)


@keras.saving.register_keras_serializable(package="caffe2tf")
class DropBatch(keras.layers.Layer):
    """Removes a batch axis of extent 1.

    Input shape:
        ``(1, d1, ..., dn)``. Another extent along axis 0 raises an error.

    Output shape:
        ``(d1, ..., dn)``.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Squeeze axis 0."""
        return tf.squeeze(x, 0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape without axis 0."""
        return tuple(input_shape[1:])
