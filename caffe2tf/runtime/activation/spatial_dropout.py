"""ScaledSpatialDropout: leaves out whole channels in training, and scales always."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["ScaledSpatialDropout"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class ScaledSpatialDropout(keras.layers.Layer):
    """``x / (1 - rate)``; in training each channel of each item is 0 with probability `rate`.

    Args:
        rate: probability that a channel is left out.
        axis: the axis of the channels.
    """

    def __init__(self, rate: float, axis: int = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.axis = axis
        self._seeds = keras.random.SeedGenerator()

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:  # noqa: FBT001, FBT002 - Keras' own signature
        """Any shape, and the same out."""
        if not training:
            return x * tf.cast(1 / (1 - self.rate), x.dtype)
        whole = (0, self.axis % len(x.shape))
        noise = [None if i in whole else 1 for i in range(len(x.shape))]
        return keras.random.dropout(x, self.rate, noise_shape=noise, seed=self._seeds)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "rate": self.rate, "axis": self.axis}
