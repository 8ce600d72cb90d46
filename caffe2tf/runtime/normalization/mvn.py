"""Mean-variance normalization."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["MVN"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class MVN(keras.layers.Layer):
    """Mean-variance normalization: ``(x - mean) / (sqrt(variance) + epsilon)`` over chosen axes of each item.

    The variance is ``mean((x - mean) ** 2)``. Caffe adds `epsilon` to the standard deviation, while the normalization
    layers of Keras add it to the variance. As in Caffe, the output has four axes: an input with fewer gets axes of
    extent 1 at the end. The gradient is finite where the variance is 0.

    Args:
        axis: sequence of ints. The axes that the mean and the variance are taken over, as numbered in the output:
            ``(1, 2)`` normalizes each channel of each image, ``(1, 2, 3)`` each image.
        normalize_variance: bool. Whether to divide by the standard deviation. If False, only the mean is subtracted.
            Defaults to True.
        epsilon: float. Defaults to 1e-9.

    Input shape:
        ``(N, H, W, C)``, or any shape of one to four axes.

    Output shape:
        Same as the input, extended to four axes with extents of 1.
    """

    def __init__(
        self, axis: Sequence[int], *, normalize_variance: bool = True, epsilon: float = 1e-9, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.axis, self.normalize_variance, self.epsilon = tuple(axis), normalize_variance, epsilon

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {"axis": self.axis, "normalize_variance": self.normalize_variance, "epsilon": self.epsilon}
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape, extended to four axes."""
        return (*input_shape, *(1,) * (4 - len(input_shape)))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the normalized input with four axes."""
        for _ in range(4 - x.shape.rank):
            x = tf.expand_dims(x, -1)
        wide = tf.cast(x, keras.backend.result_type(x.dtype, "float32"))  # float16 has no room for squares
        centred = wide - tf.reduce_mean(wide, self.axis, keepdims=True)
        if not self.normalize_variance:
            return tf.cast(centred, x.dtype)
        variance = tf.reduce_mean(centred * centred, self.axis, keepdims=True)
        varies = variance > 0  # the square root has no finite gradient at 0
        deviation = tf.where(varies, tf.sqrt(tf.where(varies, variance, 1)), 0)
        return tf.cast(centred / (deviation + self.epsilon), x.dtype)
