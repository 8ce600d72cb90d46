"""Local response normalization."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["LRN", "LRNWithinChannel"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class LRN(keras.layers.Layer):
    """``y = x / (k + alpha / local_size * sum(x * x)) ** beta``, summed over neighbouring channels.

    Note that Caffe divides alpha by local_size, and TensorFlow does not.

    Args:
        local_size: how many channels are summed over, an odd number; those beyond the first and the last are 0.
        alpha, beta, k: see the formula.
    """

    def __init__(
        self, local_size: int, *, alpha: float = 1.0, beta: float = 0.75, k: float = 1.0, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.local_size, self.alpha, self.beta, self.k = local_size, alpha, beta, k

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        own = {"local_size": self.local_size, "alpha": self.alpha, "beta": self.beta, "k": self.k}
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(batch, height, width, channels), and the same out."""
        radius, alpha = (self.local_size - 1) // 2, self.alpha / self.local_size
        if 1 <= radius <= 7 and self.k >= 1e-5 and self.beta >= 0.01:  # what cuDNN takes
            return tf.nn.local_response_normalization(x, radius, self.k, alpha, self.beta)
        square = tf.pad(x * x, [(0, 0), (0, 0), (0, 0), (radius, radius)])
        total = tf.add_n([square[..., i : i + x.shape[-1]] for i in range(self.local_size)])
        return x * (self.k + alpha * total) ** -self.beta


@keras.saving.register_keras_serializable(package="caffe2tf")
class LRNWithinChannel(keras.layers.Layer):
    """``y = x / (1 + alpha * mean(x * x)) ** beta``, over a square of places of the same channel.

    Args:
        local_size: the square's extent, an odd number; places outside the input are 0, and count.
        alpha, beta: see the formula.
    """

    def __init__(self, local_size: int, *, alpha: float = 1.0, beta: float = 0.75, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.local_size, self.alpha, self.beta = local_size, alpha, beta

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        own = {"local_size": self.local_size, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(batch, height, width, channels), and the same out."""
        pad = ((self.local_size - 1) // 2,) * 2
        mean = tf.nn.avg_pool2d(tf.pad(x * x, [(0, 0), pad, pad, (0, 0)]), self.local_size, 1, "VALID")
        return x * (1 + self.alpha * mean) ** -self.beta
