"""Downsample: images made smaller, leaving out what is not a number, as FlowNet does it."""

from __future__ import annotations

import math

import keras
import numpy as np
import tensorflow as tf

from caffe2tf.runtime.resizing.taps import ResamplingLayer, taps_around, weigh_taps

__all__ = ["Downsample"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Downsample(ResamplingLayer):
    """Means of the pixels around each place, weighted by a triangle; corners stay corners; channels last.

    What is not a number is left out; where it has more than half of the weight, the result is no number either.

    Args:
        size: height and width of the result, 2 or more.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Images of known height and width, 2 or more."""
        _, height, width, _ = x.shape
        rows, columns = (_triangle_taps(b, a) for b, a in zip((height, width), self.size, strict=True))
        missing = tf.math.is_nan(x)
        known = weigh_taps(weigh_taps(tf.cast(~missing, x.dtype), 1, rows), 2, columns)
        lost = weigh_taps(weigh_taps(tf.cast(missing, x.dtype), 1, rows), 2, columns)
        total = weigh_taps(weigh_taps(tf.where(missing, tf.zeros_like(x), x), 1, rows), 2, columns)
        return tf.where(lost / known > 0.5, tf.constant(float("nan"), x.dtype), total / known)


def _triangle_taps(before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """What lies less than one distance between results from each of them."""
    f = np.float32
    centres = np.arange(after, dtype=np.float32) / f(after - 1) * f(before - 1)
    scale = f(before - 1) / f(after - 1)
    return taps_around(centres, math.ceil(scale), before, lambda d: np.maximum(f(0), f(1) - np.abs(d) / scale))
