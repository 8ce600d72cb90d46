"""The Keras layer that an emitted model of `my_layers` runs; its source is copied beside the model."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="mine")
class HardSwish(keras.layers.Layer):
    """``y = x * min(max(x + offset, 0), 6) / 6``."""

    def __init__(self, offset: float = 3.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.offset = offset

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "offset": self.offset}

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape, and the same out."""
        return x * tf.clip_by_value(x + self.offset, 0.0, 6.0) / 6.0
