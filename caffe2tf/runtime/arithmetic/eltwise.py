"""Eltwise: the product, weighted sum or maximum of tensors."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Eltwise"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Eltwise(keras.layers.Layer):
    """Combines tensors of one shape elementwise: by their product, weighted sum or maximum.

    The tensors are combined one after the other, as Caffe does, so that sums round alike. ``keras.layers.Add`` and its
    relatives have no coefficients.

    Args:
        operation: ``"PROD"``, ``"SUM"`` or ``"MAX"``.
        coefficients: sequence of floats or None. The factor of each tensor, for ``"SUM"``. None stands for 1.
            Defaults to None.

    Input shape:
        A list of tensors of one shape.

    Output shape:
        The shape of the inputs.
    """

    def __init__(self, operation: str, coefficients: Sequence[float] | None = None, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.operation = operation
        self.coefficients = None if coefficients is None else tuple(coefficients)

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the combination of the inputs."""
        terms = list(inputs)
        if self.coefficients is not None:
            terms = [x if c == 1 else x * c for x, c in zip(terms, self.coefficients, strict=True)]
        combine = {"PROD": tf.multiply, "SUM": tf.add, "MAX": tf.maximum}[self.operation]
        result = terms[0]
        for term in terms[1:]:
            result = combine(result, term)
        return result

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> object:
        """Return the shape of the first input, in the compute dtype."""
        return keras.KerasTensor(inputs[0].shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "operation": self.operation, "coefficients": self.coefficients}
