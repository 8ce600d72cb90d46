"""Local response normalization across channels and within a channel."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["LRN", "LRNWithinChannel"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class LRN(keras.layers.Layer):
    """Local response normalization across channels: ``x / (k + alpha / local_size * sum(x ** 2)) ** beta``.

    The sum is over the `local_size` channels around each channel; there are zeros before the first and after the last.
    Caffe divides `alpha` by `local_size`; ``tf.nn.local_response_normalization`` does not.

    Args:
        local_size: int, odd. The number of channels that are summed.
        alpha: float. Defaults to 1.
        beta: float. Defaults to 0.75.
        k: float. Defaults to 1.

    Input shape:
        ``(N, H, W, C)``.

    Output shape:
        Same as the input.
    """

    def __init__(
        self, local_size: int, *, alpha: float = 1.0, beta: float = 0.75, k: float = 1.0, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.local_size, self.alpha, self.beta, self.k = local_size, alpha, beta, k

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {"local_size": self.local_size, "alpha": self.alpha, "beta": self.beta, "k": self.k}
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the normalized input."""
        radius, alpha = (self.local_size - 1) // 2, self.alpha / self.local_size
        wide = tf.cast(x, keras.backend.result_type(x.dtype, "float32"))  # float16 has no room for squares
        limits = 1 <= radius <= 7 and self.k >= 1e-5 and self.beta >= 0.01  # those of cuDNN
        if limits and wide.dtype == tf.float32:  # TensorFlow's function takes no float64
            y = tf.nn.local_response_normalization(wide, radius, self.k, alpha, self.beta)
        else:
            square = tf.pad(wide * wide, [(0, 0), (0, 0), (0, 0), (radius, radius)])
            total = tf.add_n([square[..., i : i + x.shape[-1]] for i in range(self.local_size)])
            y = wide * (self.k + alpha * total) ** -self.beta
        return tf.cast(y, x.dtype)


@keras.saving.register_keras_serializable(package="caffe2tf")
class LRNWithinChannel(keras.layers.Layer):
    """Local response normalization within a channel: ``x / (1 + alpha * mean(x ** 2)) ** beta``.

    The mean is over a square of `local_size` by `local_size` pixels around each pixel, in the same channel. As in
    Caffe, pixels outside the image are zeros that the mean includes.

    Args:
        local_size: int, odd. The height and width of the square.
        alpha: float. Defaults to 1.
        beta: float. Defaults to 0.75.

    Input shape:
        ``(N, H, W, C)``.

    Output shape:
        Same as the input.
    """

    def __init__(self, local_size: int, *, alpha: float = 1.0, beta: float = 0.75, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.local_size, self.alpha, self.beta = local_size, alpha, beta

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {"local_size": self.local_size, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the normalized input."""
        pad = ((self.local_size - 1) // 2,) * 2
        wide = tf.cast(x, keras.backend.result_type(x.dtype, "float32"))  # float16 has no room for squares
        mean = tf.nn.avg_pool2d(tf.pad(wide * wide, [(0, 0), pad, pad, (0, 0)]), self.local_size, 1, "VALID")
        return tf.cast(wide * (1 + self.alpha * mean) ** -self.beta, x.dtype)
