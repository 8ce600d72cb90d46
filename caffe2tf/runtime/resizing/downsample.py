"""Downsample: shrinks images that may contain NaN, as FlowNet does."""

from __future__ import annotations

import math

import keras
import numpy as np
import tensorflow as tf

from caffe2tf.runtime.resizing.taps import ResamplingLayer, known_extents, taps_around, weigh_taps

__all__ = ["Downsample"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Downsample(ResamplingLayer):
    """Shrinks images by weighted means of the pixels around each output pixel, ignoring NaN.

    The corner pixels stay the corner pixels: along each axis of ``m`` output and ``n`` input pixels, output pixel ``i``
    has its center at ``i * (n - 1) / (m - 1)``. The weight of an input pixel falls linearly from 1 at the center to 0
    at a distance of ``(n - 1) / (m - 1)``. NaN pixels are ignored, unless their weight is more than half of the weight
    of the other pixels: then the output pixel is NaN. FlowNet shrinks optical flow so, in which NaN marks unknown
    values.

    Args:
        size: pair of ints, each 2 or greater. Height and width of the output.

    Input shape:
        ``(N, H, W, C)``, where `H` and `W` must be 2 or greater, and known when the layer is called.

    Output shape:
        ``(N, size[0], size[1], C)``.

    Raises:
        ValueError: the height or width is unknown when the layer is called.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the smaller images."""
        height, width = known_extents(x, (1, 2))
        rows, columns = (_triangle_taps(b, a) for b, a in zip((height, width), self.size, strict=True))
        missing = tf.math.is_nan(x)
        known = weigh_taps(weigh_taps(tf.cast(~missing, x.dtype), 1, rows), 2, columns)
        lost = weigh_taps(weigh_taps(tf.cast(missing, x.dtype), 1, rows), 2, columns)
        total = weigh_taps(weigh_taps(tf.where(missing, tf.zeros_like(x), x), 1, rows), 2, columns)
        return tf.where(lost / known > 0.5, tf.constant(float("nan"), x.dtype), total / known)


def _triangle_taps(before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices and weights of the input pixels less than one output pixel away from each output pixel."""
    f = np.float32
    centres = np.arange(after, dtype=np.float32) / f(after - 1) * f(before - 1)
    scale = f(before - 1) / f(after - 1)
    return taps_around(centres, math.ceil(scale), before, lambda d: np.maximum(f(0), f(1) - np.abs(d) / scale))
