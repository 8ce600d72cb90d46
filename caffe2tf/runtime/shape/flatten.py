"""Flattening where Keras' own layer does not: from any axis on, the batch included."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

__all__ = ["DropBatch", "FlattenBatch", "FlattenFrom"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class FlattenFrom(keras.layers.Layer):
    """All axes from `axis` on made one.

    Args:
        axis: the first of them, 1 or more.
    """

    def __init__(self, axis: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape of more axes than `axis`."""
        target = self.compute_output_shape(tuple(x.shape))
        if target.count(None) < 2:  # reshape can find one extent by itself
            return tf.reshape(x, [-1 if d is None else d for d in target])
        dynamic = tf.shape(x)
        return tf.reshape(x, [*(dynamic[i] if d is None else d for i, d in enumerate(target[:-1])), -1])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The axes before `axis`, and one."""
        known = [d for d in input_shape[self.axis :] if d is not None]
        whole = len(known) == len(input_shape) - self.axis
        return (*input_shape[: self.axis], math.prod(known) if whole else None)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": self.axis}


@keras.saving.register_keras_serializable(package="caffe2tf")
class FlattenBatch(keras.layers.Layer):
    """All values, the whole batch, as the one row of a matrix."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape; (1, values) out."""
        return tf.reshape(x, [1, -1])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """One row."""
        known = [d for d in input_shape if d is not None]
        return (1, math.prod(known) if len(known) == len(input_shape) else None)


@keras.saving.register_keras_serializable(package="caffe2tf")
class DropBatch(keras.layers.Layer):
    """The one index along axis 0, without that axis."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(1, rest...); (rest...) out."""
        return tf.squeeze(x, 0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The other axes."""
        return tuple(input_shape[1:])
