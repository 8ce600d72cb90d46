"""ResizeAligned: images brought to another size whose corners are the corners of the old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from caffe2tf.runtime.resizing.taps import ResamplingLayer, weigh_taps

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["ResizeAligned"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class ResizeAligned(ResamplingLayer):
    """Images bilinearly interpolated at places from corner to corner, at equal distances; channels last.

    Args:
        size: height and width of the result, 2 or more.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Images of known height and width."""
        _, height, width, _ = x.shape
        rows, columns = (_neighbours(b, a) for b, a in zip((height, width), self.size, strict=True))
        return weigh_taps(weigh_taps(x, 1, rows), 2, columns)


def _neighbours(before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """For each place, the values on both sides, weighted by their nearness."""
    f = np.float32
    places = np.arange(after, dtype=np.float32) / f(after - 1) * f(before - 1)
    low = np.floor(places)
    share = places - low
    first = low.astype(np.int64)
    return np.stack([first, np.minimum(first + 1, before - 1)], axis=1), np.stack([f(1) - share, share], axis=1)
