"""Bilinear interpolation between corners that stay corners."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["Interp"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Interp(keras.layers.Layer):
    """Resizes images bilinearly, so that the values at their corners stay those at the corners.

    Args:
        size: rows and columns of the output; None where they follow from the input's.
        shrink: then, every how many-th row and column there would be, the first being one of them.
        zoom: into how many steps the distance between two of these is divided.
    """

    def __init__(
        self, size: tuple[int, int] | None = None, *, shrink: int = 1, zoom: int = 1, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.size = None if size is None else (size[0], size[1])
        self.shrink, self.zoom = shrink, zoom

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(batch, height, width, channels) to (batch, rows, columns, channels)."""
        dynamic = tf.shape(x)
        size = [self._extent(i, x.shape[i + 1] or dynamic[i + 1]) for i in (0, 1)]
        y = tf.raw_ops.ResizeBilinear(images=x, size=size, align_corners=True)
        return tf.cast(y, x.dtype)

    def _extent(self, i: int, n: int | tf.Tensor) -> int | tf.Tensor:
        return (n - 1) // self.shrink * self.zoom + 1 if self.size is None else self.size[i]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The output's extents; None where they follow from extents that are None."""
        spatial = [
            n if n is None and self.size is None else self._extent(i, n or 1) for i, n in enumerate(input_shape[1:3])
        ]
        return (input_shape[0], *spatial, input_shape[3])

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "size": self.size, "shrink": self.shrink, "zoom": self.zoom}
