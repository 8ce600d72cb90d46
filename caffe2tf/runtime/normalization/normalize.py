"""Division by the Euclidean norm."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Normalize"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Normalize(keras.layers.Layer):
    """``scale * x / sqrt(sum(x ** 2) + epsilon)``; the scale is trained.

    Args:
        axis: the axis, or axes, over which the sum is taken.
        scale_axis: the axis along which each index has a scale of its own; None for one scale in all.
        epsilon: see the formula; inside the root, and added to the sum, unlike that of Keras' UnitNormalization.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        *,
        scale_axis: int | None = -1,
        epsilon: float = 1e-10,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else tuple(axis)
        self.scale_axis, self.epsilon = scale_axis, epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the scale."""
        shape = () if self.scale_axis is None else (input_shape[self.scale_axis],)
        if None in shape:
            raise ValueError(f"the extent along axis {self.scale_axis} must be known, not {tuple(input_shape)}")
        self.scale = self.add_weight(shape=shape, initializer="ones", name="scale")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape, and the same out."""
        scale = tf.convert_to_tensor(self.scale)
        if self.scale_axis is not None:
            behind = -1 - self.scale_axis if self.scale_axis < 0 else x.shape.rank - 1 - self.scale_axis
            scale = tf.reshape(scale, [-1, *[1] * behind])
        norm = tf.sqrt(tf.reduce_sum(x * x, self.axis, keepdims=True) + self.epsilon)
        return x / norm * scale

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        own = {"axis": self.axis, "scale_axis": self.scale_axis, "epsilon": self.epsilon}
        return {**super().get_config(), **own}
