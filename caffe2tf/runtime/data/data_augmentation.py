"""Mean subtraction and the crop of FlowNet's DataAugmentation."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

__all__ = ["BilinearCrop", "SubtractMean"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class SubtractMean(keras.layers.Layer):
    """``x - mean``; the mean is stored with the weights, and is not trained.

    Args:
        per_pixel: whether each place of an image has a mean of its own, or one holds for a whole channel.
    """

    def __init__(self, *, per_pixel: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.per_pixel = per_pixel

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the mean."""
        shape = input_shape[1:] if self.per_pixel else input_shape[-1:]
        self.mean = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="mean")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(N, height, width, channels), and the same out."""
        return x - self.mean

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "per_pixel": self.per_pixel}


@keras.saving.register_keras_serializable(package="caffe2tf")
class BilinearCrop(keras.layers.Layer):
    """The middle of images; an odd margin is halved, so that each value is the mean of two neighbours.

    Places are kept 1.05 short of an axis' extent, as in Caffe: where an axis is not cropped, its last value becomes
    ``0.95 * x[n - 1] + 0.05 * x[n - 2]``.

    Args:
        height: rows of the result.
        width: columns of the result.
    """

    def __init__(self, height: int, width: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.height, self.width = height, width

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(N, height, width, channels), of extents that are known."""
        return _middle(_middle(x, 1, self.height), 2, self.width)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's, with the height and width of the result."""
        return (input_shape[0], self.height, self.width, input_shape[3])

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "height": self.height, "width": self.width}


def _middle(x: tf.Tensor, axis: int, extent: int) -> tf.Tensor:
    """Samples of ``x`` at ``extent`` places around the middle of an axis, between its values where need be."""
    whole = np.float32(x.shape[axis])
    places = np.arange(extent, dtype=np.float32) + (whole - np.float32(extent)) / 2
    places = np.maximum(np.minimum(places, whole - np.float32(1.05)), np.float32(0))
    low = np.floor(places).astype(np.int32)
    first = tf.gather(x, low, axis=axis)
    if np.all(places == low):
        return first
    share = np.reshape(places - low.astype(np.float32), [-1 if a == axis else 1 for a in range(4)])
    return first * (1 - share) + tf.gather(x, low + 1, axis=axis) * share
