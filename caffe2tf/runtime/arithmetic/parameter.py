"""A trained tensor that is a value of the network."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["Parameter"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Parameter(keras.layers.Layer):
    """A trained tensor, whatever the input: Keras calls every layer on something.

    Args:
        shape: its shape.
    """

    def __init__(self, shape: tuple[int, ...], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the tensor."""
        del input_shape
        self.value = self.add_weight(shape=self.shape, initializer="zeros", name="value")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Anything; the trained tensor out."""
        del x
        return tf.convert_to_tensor(self.value)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int, ...]:
        """`shape`."""
        del input_shape
        return self.shape

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "shape": list(self.shape)}
