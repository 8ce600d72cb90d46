"""Rows of a table, with an offset."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["Embed"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Embed(keras.layers.Layer):
    """``embeddings[x] + bias``; Keras' Embedding has no bias.

    Args:
        input_dim: count of rows; an index is 0 or more, and less than it.
        output_dim: values in each row.
    """

    def __init__(self, input_dim: int, output_dim: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.input_dim, self.output_dim = input_dim, output_dim

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the table and the bias."""
        del input_shape
        shape = (self.input_dim, self.output_dim)
        self.embeddings = self.add_weight(shape=shape, initializer="uniform", name="embeddings")
        self.bias = self.add_weight(shape=shape[1:], initializer="zeros", name="bias")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Indices of any shape, whole numbers of any type; one more axis out."""
        return tf.gather(self.embeddings, tf.cast(x, tf.int32)) + self.bias

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's, with the values of a row behind it."""
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "input_dim": self.input_dim, "output_dim": self.output_dim}
