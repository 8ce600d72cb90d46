"""Tensors of one shape, combined value by value."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Eltwise"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Eltwise(keras.layers.Layer):
    """The product, weighted sum or maximum of tensors of one shape, of any rank.

    Args:
        operation: PROD, SUM or MAX.
        coefficients: the factor of each tensor in a sum; all 1 where none are given.
    """

    def __init__(self, operation: str, coefficients: Sequence[float] | None = None, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.operation = operation
        self.coefficients = None if coefficients is None else tuple(coefficients)

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """From the first tensor to the last, as Caffe does."""
        terms = list(inputs)
        if self.coefficients is not None:
            terms = [x if c == 1 else x * c for x, c in zip(terms, self.coefficients, strict=True)]
        combine = {"PROD": tf.multiply, "SUM": tf.add, "MAX": tf.maximum}[self.operation]
        result = terms[0]
        for term in terms[1:]:
            result = combine(result, term)
        return result

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> object:
        """The shape of each input."""
        return keras.KerasTensor(inputs[0].shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "operation": self.operation, "coefficients": self.coefficients}
