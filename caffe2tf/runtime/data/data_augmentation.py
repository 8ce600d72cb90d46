"""SubtractMean and BilinearCrop: the deterministic part of FlowNet's DataAugmentation layer."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

__all__ = ["BilinearCrop", "SubtractMean"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class SubtractMean(keras.layers.Layer):
    """Subtracts a stored mean: ``y = x - mean``.

    The mean is a weight that is not trained. Caffe's layer computes it while the network is trained.

    Args:
        per_pixel: bool. Whether the mean is an image, with one value for each pixel and channel, or has one value for
            each channel. Defaults to False.

    Input shape:
        ``(N, H, W, C)``.

    Output shape:
        The input shape.

    Weights:
        ``mean``: ``(H, W, C)`` if `per_pixel` is true, else ``(C,)``. Zeros at first.
    """

    def __init__(self, *, per_pixel: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.per_pixel = per_pixel

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the mean."""
        shape = input_shape[1:] if self.per_pixel else input_shape[-1:]
        self.mean = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="mean")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Subtract the mean."""
        return x - self.mean

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "per_pixel": self.per_pixel}


@keras.saving.register_keras_serializable(package="caffe2tf")
class BilinearCrop(keras.layers.Layer):
    """Crops images around their exact centre, and interpolates where the centre lies between pixels.

    ``keras.layers.CenterCrop`` moves an odd margin to one side. Here it is halved, as in FlowNet's Caffe, so that each
    value is the mean of two neighbours. Sampling coordinates are limited to ``n - 1.05`` for an axis of extent n, as
    in Caffe: where an axis is not cropped, its last value becomes ``0.95 * x[n - 1] + 0.05 * x[n - 2]``.

    Args:
        height: int. The number of rows of the output.
        width: int. The number of columns of the output.

    Input shape:
        ``(N, H, W, C)``; H and W must be known when the model is built.

    Output shape:
        ``(N, height, width, C)``.
    """

    def __init__(self, height: int, width: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.height, self.width = height, width

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Crop the rows, then the columns."""
        return _middle(_middle(x, 1, self.height), 2, self.width)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape with the new height and width."""
        return (input_shape[0], self.height, self.width, input_shape[3])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "height": self.height, "width": self.width}


def _middle(x: tf.Tensor, axis: int, extent: int) -> tf.Tensor:
    """Return samples of ``x`` at ``extent`` coordinates around the middle of an axis, interpolated linearly."""
    whole = np.float32(x.shape[axis])
    places = np.arange(extent, dtype=np.float32) + (whole - np.float32(extent)) / 2
    places = np.maximum(np.minimum(places, whole - np.float32(1.05)), np.float32(0))
    low = np.floor(places).astype(np.int32)
    first = tf.gather(x, low, axis=axis)
    if np.all(places == low):
        return first
    share = np.reshape(places - low.astype(np.float32), [-1 if a == axis else 1 for a in range(4)])
    return first * (1 - share) + tf.gather(x, low + 1, axis=axis) * share
