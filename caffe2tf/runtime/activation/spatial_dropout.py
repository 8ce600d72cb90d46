"""ScaledSpatialDropout: sets whole channels to 0 in training, and scales always."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["ScaledSpatialDropout"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class ScaledSpatialDropout(keras.layers.Layer):
    """Computes ``x / (1 - rate)``; in training each channel of each item is set to 0 with probability `rate`.

    This is the Python layer of ENet's Caffe, which scales at inference too. ``keras.layers.SpatialDropout2D`` scales
    in training only.

    Args:
        rate: float, 0 or greater and less than 1. The probability that a channel is set to 0.
        axis: int. The axis of the channels. Defaults to -1.

    Call arguments:
        x: the input.
        training: bool, whether channels are dropped. Defaults to False.

    Input shape:
        ``(N, ..., C)``, or with the channels along `axis`.

    Output shape:
        Same as the input.
    """

    def __init__(self, rate: float, axis: int = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.axis = axis
        self._seeds = keras.random.SeedGenerator()

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:  # noqa: FBT001, FBT002 - Keras' own signature
        """Return ``x / (1 - rate)``, with some channels set to 0 in training."""
        if not training:
            return x * tf.cast(1 / (1 - self.rate), x.dtype)
        whole = (0, self.axis % len(x.shape))
        noise = [None if i in whole else 1 for i in range(len(x.shape))]
        return keras.random.dropout(x, self.rate, noise_shape=noise, seed=self._seeds)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "rate": self.rate, "axis": self.axis}
