"""ResizeBilinear and ResizeNearest: images of another size, as TensorFlow 1 resized them."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

__all__ = ["ResizeBilinear", "ResizeNearest"]


class _Resize(keras.layers.Layer):
    """A layer that changes the length of some axes.

    Args:
        sizes: for each such axis, its number and its new length, the axes ascending.
        mode: how places between values are numbered: "", align_corners, half_pixel_centers, pytorch_half_pixel, or
            half_pixel_onnx.
    """

    def __init__(self, sizes: Sequence[tuple[int, int]], mode: str = "", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple((axis, size) for axis, size in sizes)
        self.mode = mode

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """With the new lengths."""
        sizes = dict(self.sizes)
        return tuple(sizes.get(axis, d) for axis, d in enumerate(input_shape))

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "sizes": self.sizes, "mode": self.mode}


@keras.saving.register_keras_serializable(package="caffe2tf")
class ResizeBilinear(_Resize):
    """Interpolates between the two nearest values along each of some axes.

    Args:
        sizes: for each such axis, its number and its new length, the axes ascending.
        mode: how places are numbered: "", align_corners, half_pixel_centers or pytorch_half_pixel.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape; the lengths of the axes are known."""
        for axis, size in reversed(self.sizes):
            before = x.shape[axis]
            places = _places(before, size, self.mode)
            if self.mode == "pytorch_half_pixel" and size == 1:
                places = np.array([-0.5], np.float32)
            floor = np.floor(places)
            share = (places - floor).reshape(-1, *(1,) * (len(x.shape) - axis - 1))
            low = tf.gather(x, np.maximum(floor, 0).astype(np.int32), axis=axis)
            high = tf.gather(x, np.minimum(np.ceil(places), before - 1).astype(np.int32), axis=axis)
            x = low + (high - low) * tf.cast(share, x.dtype)
        return x


@keras.saving.register_keras_serializable(package="caffe2tf")
class ResizeNearest(_Resize):
    """Takes a value that is near along each of some axes.

    Args:
        sizes: for each such axis, its number and its new length, the axes ascending.
        mode: how places are numbered: "", align_corners, half_pixel_centers or half_pixel_onnx.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape; the lengths of the axes are known."""
        for axis, size in self.sizes:
            before = x.shape[axis]
            x = tf.gather(x, _nearest_places(before, size, self.mode), axis=axis)
        return x


def _scale(before: int, after: int, mode: str) -> np.float32:
    """The distance of two places, in float32 as Caffe has it."""
    if mode == "align_corners" and after > 1:
        return np.float32(before - 1) / np.float32(after - 1)
    return np.float32(before) / np.float32(after)


def _places(before: int, after: int, mode: str) -> np.ndarray:
    """Where the values of a side stand among those of a side that was ``before`` long."""
    numbers = np.arange(after, dtype=np.float32)
    scale = _scale(before, after, mode)
    half = np.float32(0.5)
    return (numbers + half) * scale - half if "half_pixel" in mode else numbers * scale


def _nearest_places(before: int, after: int, mode: str) -> np.ndarray:
    """For each value of a side, the number of the value that it is."""
    numbers = np.arange(after, dtype=np.float32)
    scale = _scale(before, after, mode)
    if mode == "align_corners":
        found = np.floor((numbers * scale).astype(np.float64) + 0.5)
    elif mode == "half_pixel_onnx":
        found = np.floor((((numbers + np.float32(0.5)) * scale).astype(np.float64) - 0.5).astype(np.float32))
    else:
        found = np.floor((numbers + np.float32(0.5)) * scale if mode else numbers * scale)
    return np.clip(found, 0, before - 1).astype(np.int32)
