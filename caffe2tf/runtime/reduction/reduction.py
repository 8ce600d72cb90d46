"""Sums over several axes."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Reduction"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Reduction(keras.layers.Layer):
    """A sum over some axes, which are gone afterwards.

    Args:
        operation: SUM, ASUM (of absolute values), SUMSQ (of squares) or MEAN.
        axes: the axes that are summed over.
        coefficient: factor of the result.
    """

    def __init__(self, operation: str, axes: Sequence[int], coefficient: float = 1.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.operation = operation
        self.axes = tuple(axes)
        self.coefficient = coefficient

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The sums."""
        if self.operation == "MEAN":
            result = tf.reduce_mean(x, axis=self.axes)
        else:
            terms = {"SUM": tf.identity, "ASUM": tf.abs, "SUMSQ": tf.square}[self.operation](x)
            result = tf.reduce_sum(terms, axis=self.axes)
        return result if self.coefficient == 1 else result * self.coefficient

    def compute_output_spec(self, x: keras.KerasTensor) -> object:
        """The axes that are left."""
        left = tuple(n for i, n in enumerate(x.shape) if i not in self.axes)
        return keras.KerasTensor(left, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        own = {"operation": self.operation, "axes": self.axes, "coefficient": self.coefficient}
        return {**super().get_config(), **own}
