"""Resample: resizes images as FlowNet 2 does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from caffe2tf.runtime.resizing.taps import ResamplingLayer, known_extents, taps_around, weigh_taps

__all__ = ["Resample"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Resample(ResamplingLayer):
    """Resizes images by the nearest pixel, or by a linear or cubic filter.

    Output pixel ``i`` of an axis that is resized by the ratio ``r = n / m`` (``n`` input and ``m`` output pixels) has
    its center at ``i * r + q / 2 - 0.5``. By FlowNet's code, ``q`` is the ratio of the *other* axis. The filters are
    the triangle ``max(0, 1 - |d|)`` and the cubic spline with the parameter -0.5 (Catmull-Rom) of the distance ``d``.
    Their weights are normalized to a sum of 1; an output pixel out of reach of any input pixel is 0.

    Args:
        size: pair of ints. Height and width of the output.
        method: ``"NEAREST"``, ``"LINEAR"`` or ``"CUBIC"``. Defaults to ``"LINEAR"``.
        antialias: bool. Whether to scale the filter along each axis by its ratio, if either axis shrinks.
            Defaults to True.

    Input shape:
        ``(N, H, W, C)``, where `H` and `W` must be known when the layer is called.

    Output shape:
        ``(N, size[0], size[1], C)``.

    Raises:
        ValueError: the height or width is unknown when the layer is called.
    """

    def __init__(
        self, size: Sequence[int], method: str = "LINEAR", *, antialias: bool = True, **kwargs: object
    ) -> None:
        super().__init__(size, **kwargs)
        self.method = method
        self.antialias = antialias

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the resized images."""
        height, width = known_extents(x, (1, 2))
        before, after = (height, width), self.size
        ratios = [np.float32(b) / np.float32(a) for b, a in zip(before, after, strict=True)]
        # FlowNet computes the center of a pixel with the ratio of the other axis.
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
        """Return the constructor's arguments."""
        return {**super().get_config(), "method": self.method, "antialias": self.antialias}


def _filter_taps(
    centres: np.ndarray, ratio: np.float32, width: np.float32, extent: int, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices and weights of the pixels that a filter, `width` times as wide, reaches from each center."""
    scale = np.float32(1) / width
    radius = 2 if ratio < 1 else math.ceil(np.float32(4 if method == "CUBIC" else 2) / scale)
    shape = _cubic if method == "CUBIC" else _triangle
    return taps_around(centres, radius, extent, lambda distance: scale * shape(scale * distance))


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) <= 1, np.float32(1) - np.abs(x), np.float32(0))


def _cubic(x: np.ndarray) -> np.ndarray:
    """Return the cubic convolution kernel with the parameter -0.5: 1 at 0, and 0 at 1 and 2."""
    x = np.abs(x)
    half, f = np.float32(0.5), np.float32
    inner = x * x * (f(1.5) * x - f(2.5)) + f(1)
    outer = x * (x * (-half * x + f(2.5)) - f(4)) + f(2)
    return np.where(x <= 1, inner, np.where(x < 2, outer, f(0)))


def _nearest(x: tf.Tensor, centres: Sequence[np.ndarray]) -> tf.Tensor:
    """Return the nearest pixels.

    If one axis shrinks at least twice as much as the other, some centers lie outside the image. FlowNet's code then
    reads other values from the memory of the blob (N, C, H, W). This function reads the same ones, but not beyond the
    last value of an image.
    """
    _, height, width, channels = x.shape
    rows, columns = (taps_around(c, 0, 2**30, np.ones_like)[0][:, 0] for c in centres)
    if rows[-1] < height and columns[-1] < width:
        return tf.gather(tf.gather(x, rows, axis=1), columns, axis=2)
    places = rows[:, None, None] * width + columns[:, None] + np.arange(channels) * (height * width)
    memory = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [-1, channels * height * width])
    return tf.gather(memory, np.minimum(places, channels * height * width - 1), axis=1)
