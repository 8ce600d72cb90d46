"""Resample: images brought to another size, as FlowNet 2 does it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from caffe2tf.runtime.resizing.taps import ResamplingLayer, taps_around, weigh_taps

__all__ = ["Resample"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Resample(ResamplingLayer):
    """Images resampled to a size; channels last.

    Args:
        size: height and width of the result.
        method: NEAREST, LINEAR or CUBIC.
        antialias: whether the filter of LINEAR and CUBIC is as much wider as the images get smaller.
    """

    def __init__(
        self, size: Sequence[int], method: str = "LINEAR", *, antialias: bool = True, **kwargs: object
    ) -> None:
        super().__init__(size, **kwargs)
        self.method = method
        self.antialias = antialias

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Images of known height and width."""
        _, height, width, _ = x.shape
        before, after = (height, width), self.size
        ratios = [np.float32(b) / np.float32(a) for b, a in zip(before, after, strict=True)]
        # The middle of a pixel is found with the ratio of the other axis, as FlowNet's code has it.
        centres = [
            np.arange(a, dtype=np.float32) * ratio + other / np.float32(2) - np.float32(0.5)
            for a, ratio, other in zip(after, ratios, ratios[::-1], strict=True)
        ]
        if self.method == "NEAREST":
            return _nearest(x, centres)
        smooth = self.antialias and max(ratios) > 1
        rows, columns = (
            _filter_taps(c, ratio, ratio if smooth else np.float32(1), extent, self.method)
            for c, ratio, extent in zip(centres, ratios, before, strict=True)
        )
        total = weigh_taps(weigh_taps(x, 1, rows), 2, columns)
        weight = (rows[1].sum(axis=1)[:, None] * columns[1].sum(axis=1))[..., None]
        divided = total / tf.constant(np.where(weight == 0, 1, weight), total.dtype)
        return divided if weight.all() else tf.where(weight == 0, tf.zeros([], total.dtype), divided)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "method": self.method, "antialias": self.antialias}


def _filter_taps(
    centres: np.ndarray, ratio: np.float32, width: np.float32, extent: int, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """The values that a filter, so many times as wide, reaches from each place along an axis, and its weights."""
    scale = np.float32(1) / width
    radius = 2 if ratio < 1 else math.ceil(np.float32(4 if method == "CUBIC" else 2) / scale)
    shape = _cubic if method == "CUBIC" else _triangle
    return taps_around(centres, radius, extent, lambda distance: scale * shape(scale * distance))


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) <= 1, np.float32(1) - np.abs(x), np.float32(0))


def _cubic(x: np.ndarray) -> np.ndarray:
    """The bicubic kernel with -0.5: a spline through 1 at 0, and through 0 at 1 and 2."""
    x = np.abs(x)
    half, f = np.float32(0.5), np.float32
    inner = x * x * (f(1.5) * x - f(2.5)) + f(1)
    outer = x * (x * (-half * x + f(2.5)) - f(4)) + f(2)
    return np.where(x <= 1, inner, np.where(x < 2, outer, f(0)))


def _nearest(x: tf.Tensor, centres: Sequence[np.ndarray]) -> tf.Tensor:
    """The nearest pixels.

    If one axis is shrunk at least twice as much as the other, some lie outside. There FlowNet's code reads on in
    memory, channel after channel, and so does this, up to the end of an image.
    """
    _, height, width, channels = x.shape
    rows, columns = (taps_around(c, 0, 2**30, np.ones_like)[0][:, 0] for c in centres)
    if rows[-1] < height and columns[-1] < width:
        return tf.gather(tf.gather(x, rows, axis=1), columns, axis=2)
    places = rows[:, None, None] * width + columns[:, None] + np.arange(channels) * (height * width)
    memory = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [-1, channels * height * width])
    return tf.gather(memory, np.minimum(places, channels * height * width - 1), axis=1)
