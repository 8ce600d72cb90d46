"""ResizeAligned: bilinear resizing with aligned corners."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from caffe2tf.runtime.resizing.taps import ResamplingLayer, known_extents, weigh_taps

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["ResizeAligned"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class ResizeAligned(ResamplingLayer):
    """Resizes images bilinearly, so that the corner pixels stay the corner pixels.

    Along each axis of ``m`` output and ``n`` input pixels, output pixel ``i`` is interpolated at the position
    ``i * (n - 1) / (m - 1)``, as FlowNet's layer Accum does. ``keras.layers.Resizing`` aligns the edges of the images
    instead of the centers of the corner pixels.

    Args:
        size: pair of ints, each 2 or greater. Height and width of the output.

    Input shape:
        ``(N, H, W, C)``, where `H` and `W` must be known when the layer is called.

    Output shape:
        ``(N, size[0], size[1], C)``.

    Raises:
        ValueError: the height or width is unknown when the layer is called.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the resized images."""
        height, width = known_extents(x, (1, 2))
        rows, columns = (_neighbours(b, a) for b, a in zip((height, width), self.size, strict=True))
        return weigh_taps(weigh_taps(x, 1, rows), 2, columns)


def _neighbours(before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices and weights of the two pixels around each output pixel, each of shape (after, 2)."""
    f = np.float32
    places = np.arange(after, dtype=np.float32) / f(after - 1) * f(before - 1)
    low = np.floor(places)
    share = places - low
    first = low.astype(np.int64)
    return np.stack([first, np.minimum(first + 1, before - 1)], axis=1), np.stack([f(1) - share, share], axis=1)
