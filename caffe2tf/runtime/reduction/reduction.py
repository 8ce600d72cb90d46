"""Reduction: sums over several axes."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Reduction"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Reduction(keras.layers.Layer):
    """Sums a tensor over axes, removes the axes, and scales the result.

    Args:
        operation: one of ``"SUM"``, ``"ASUM"`` (sum of absolute values), ``"SUMSQ"`` (sum of squares) and ``"MEAN"``.
        axes: sequence of ints, 0 or greater. The axes to reduce; the batch axis may be among them.
        coefficient: float. The factor by which the result is multiplied. Defaults to 1.

    Input shape:
        Any shape.

    Output shape:
        The input shape without `axes`.
    """

    def __init__(self, operation: str, axes: Sequence[int], coefficient: float = 1.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.operation = operation
        self.axes = tuple(axes)
        self.coefficient = coefficient

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Reduce the input and scale the result."""
        if self.operation == "MEAN":
            result = tf.reduce_mean(x, axis=self.axes)
        else:
            terms = {"SUM": tf.identity, "ASUM": tf.abs, "SUMSQ": tf.square}[self.operation](x)
            result = tf.reduce_sum(terms, axis=self.axes)
        return result if self.coefficient == 1 else result * self.coefficient

    def compute_output_spec(self, x: keras.KerasTensor) -> object:
        """Return the spec of the output: the input without the reduced axes."""
        left = tuple(n for i, n in enumerate(x.shape) if i not in self.axes)
        return keras.KerasTensor(left, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {"operation": self.operation, "axes": self.axes, "coefficient": self.coefficient}
        return {**super().get_config(), **own}
