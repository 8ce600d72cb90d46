"""Interp: bilinear resizing with aligned corners (DeepLab, PSPNet)."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["Interp"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Interp(keras.layers.Layer):
    """Resizes images bilinearly, so that the corner pixels stay the corner pixels.

    Along each axis of ``m`` output and ``n`` input pixels, output pixel ``i`` is interpolated at the position
    ``i * (n - 1) / (m - 1)``. ``keras.layers.Resizing`` and ``keras.layers.UpSampling2D`` do not align corners. The
    interpolation is computed in float32.

    Args:
        size: pair of ints or None. Height and width of the output; None if they follow from the input's by `shrink`
            and `zoom`: ``m = (n - 1) // shrink * zoom + 1``. Defaults to None.
        shrink: int. Every how many pixels one is kept. Defaults to 1.
        zoom: int. The number of steps between two kept pixels. Defaults to 1.

    Input shape:
        ``(N, H, W, C)``. `H` and `W` may be unknown until the layer is called.

    Output shape:
        ``(N, size[0], size[1], C)``, or the height and width by the formula above.
    """

    def __init__(
        self, size: tuple[int, int] | None = None, *, shrink: int = 1, zoom: int = 1, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.size = None if size is None else (size[0], size[1])
        self.shrink, self.zoom = shrink, zoom

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the resized images."""
        dynamic = tf.shape(x)
        size = [self._extent(i, x.shape[i + 1] or dynamic[i + 1]) for i in (0, 1)]
        y = tf.raw_ops.ResizeBilinear(images=x, size=size, align_corners=True)
        return tf.cast(y, x.dtype)

    def _extent(self, i: int, n: int | tf.Tensor) -> int | tf.Tensor:
        return (n - 1) // self.shrink * self.zoom + 1 if self.size is None else self.size[i]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the output shape, with None for an extent that follows from an unknown one."""
        spatial = [
            n if n is None and self.size is None else self._extent(i, n or 1) for i, n in enumerate(input_shape[1:3])
        ]
        return (input_shape[0], *spatial, input_shape[3])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "size": self.size, "shrink": self.shrink, "zoom": self.zoom}
