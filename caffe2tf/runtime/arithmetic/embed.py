"""Embed: rows of a trained table, plus a bias."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["Embed"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Embed(keras.layers.Layer):
    """Looks up rows of a trained table and adds a bias: ``embeddings[x] + bias``.

    ``keras.layers.Embedding`` has no bias. The indices may be integers or, as in Caffe, whole floating-point numbers.
    They must be 0 or greater and less than `input_dim`.

    Args:
        input_dim: int. The number of rows.
        output_dim: int. The number of values in a row.

    Input shape:
        Any shape.

    Output shape:
        The input shape, followed by `output_dim`. The dtype is the layer's compute dtype.

    Weights:
        `embeddings`: ``(input_dim, output_dim)``; `bias`: ``(output_dim,)``.
    """

    def __init__(self, input_dim: int, output_dim: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # float16 holds no index above 2048 exactly
        self.input_dim, self.output_dim = input_dim, output_dim

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the table and the bias."""
        del input_shape
        shape = (self.input_dim, self.output_dim)
        self.embeddings = self.add_weight(shape=shape, initializer="uniform", name="embeddings")
        self.bias = self.add_weight(shape=shape[1:], initializer="zeros", name="bias")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the rows at the indices."""
        rows = tf.cast(tf.gather(self.embeddings, tf.cast(x, tf.int32)), self.compute_dtype)
        return rows + tf.cast(self.bias, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape, followed by `output_dim`."""
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "input_dim": self.input_dim, "output_dim": self.output_dim}
