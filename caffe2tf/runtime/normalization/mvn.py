"""Mean-variance normalization."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["MVN"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class MVN(keras.layers.Layer):
    """``y = (x - mean) / (deviation + epsilon)``, for each index of the axes that are not normalized over.

    The deviation is that of all values (divided by their count). An input of fewer than four axes gets axes of extent
    1 at its end.

    Args:
        axis: the axes over which mean and deviation are taken, in an input of four axes.
        normalize_variance: whether to divide; without it the mean alone is taken off.
        epsilon: see the formula; outside the root, unlike that of Keras' normalizations.
    """

    def __init__(
        self, axis: Sequence[int], *, normalize_variance: bool = True, epsilon: float = 1e-9, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.axis, self.normalize_variance, self.epsilon = tuple(axis), normalize_variance, epsilon

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        own = {"axis": self.axis, "normalize_variance": self.normalize_variance, "epsilon": self.epsilon}
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's, with four axes."""
        return (*input_shape, *(1,) * (4 - len(input_shape)))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(batch, ...), and the same out, with four axes."""
        for _ in range(4 - x.shape.rank):
            x = tf.expand_dims(x, -1)
        centred = x - tf.reduce_mean(x, self.axis, keepdims=True)
        if not self.normalize_variance:
            return centred
        variance = tf.reduce_mean(centred * centred, self.axis, keepdims=True)
        varies = variance > 0  # the root has no slope at 0, and what does not vary stays 0
        deviation = tf.where(varies, tf.sqrt(tf.where(varies, variance, 1)), 0)
        return centred / (deviation + self.epsilon)
