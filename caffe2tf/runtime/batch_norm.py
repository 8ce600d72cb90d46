"""Normalisation by the statistics of the batch at hand."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["NormalizeBatch"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class NormalizeBatch(keras.layers.Layer):
    """``(x - mean) / sqrt(variance + epsilon)`` for each channel, over all other axes, when training or not.

    Args:
        axis: the axis of the channels.
        epsilon: what is added to the variance, that is the mean of ``(x - mean)`` squared.
    """

    def __init__(self, axis: int = -1, *, epsilon: float = 1e-5, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis, self.epsilon = axis, epsilon

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape, and the same out."""
        rank = len(x.shape)
        others = [a for a in range(rank) if a != self.axis % rank]
        centred = x - tf.reduce_mean(x, others, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), others, keepdims=True)
        return centred / tf.sqrt(variance + self.epsilon)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}
