"""ResizeBilinear and ResizeNearest: resizing as TensorFlow 1 and ONNX define it."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from caffe2tf.runtime.resizing.taps import known_extents

__all__ = ["ResizeBilinear", "ResizeNearest"]


class _Resize(keras.layers.Layer):
    """Base class of layers that resize some axes.

    Args:
        sizes: sequence of ``(axis, size)`` pairs of ints, in ascending order of the axes.
        mode: the rule for positions; see the layers. Defaults to ``""``.
    """

    def __init__(self, sizes: Sequence[tuple[int, int]], mode: str = "", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple((axis, size) for axis, size in sizes)
        self.mode = mode

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape with the new sizes."""
        sizes = dict(self.sizes)
        return tuple(sizes.get(axis, d) for axis, d in enumerate(input_shape))

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "sizes": self.sizes, "mode": self.mode}


@keras.saving.register_keras_serializable(package="caffe2tf")
class ResizeBilinear(_Resize):
    """Resizes axes by linear interpolation between the two nearest values.

    The position of output index ``i`` among the ``n`` input values, for ``m`` output values, is

    - ``i * n / m`` for the mode ``""``, the default of TensorFlow 1;
    - ``i * (n - 1) / (m - 1)`` for ``"align_corners"`` (``i * n / m`` if m is 1);
    - ``(i + 0.5) * n / m - 0.5`` for ``"half_pixel_centers"``, as in TensorFlow 2;
    - the same for ``"pytorch_half_pixel"``, but the first value if m is 1.

    Positions outside the input take the first or last value.

    Args:
        sizes: sequence of ``(axis, size)`` pairs of ints, in ascending order of the axes.
        mode: ``""``, ``"align_corners"``, ``"half_pixel_centers"`` or ``"pytorch_half_pixel"``. Defaults to ``""``.

    Input shape:
        Any shape. The extents of the resized axes must be known when the layer is called.

    Output shape:
        The input shape with the new sizes.

    Raises:
        ValueError: the extent of a resized axis is unknown when the layer is called.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the resized tensor."""
        for axis, size in reversed(self.sizes):
            (before,) = known_extents(x, (axis,))
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
    """Resizes axes by the value at a position, rounded to an index.

    For ``m`` output and ``n`` input values, output index ``i`` takes the value at the index

    - ``floor(i * n / m)`` for the mode ``""``, the default of TensorFlow 1;
    - ``floor(i * (n - 1) / (m - 1) + 0.5)`` for ``"align_corners"``;
    - ``floor((i + 0.5) * n / m)`` for ``"half_pixel_centers"``, as in TensorFlow 2;
    - ``floor((i + 0.5) * n / m - 0.5)`` for ``"half_pixel_onnx"``;

    and the first or last value if that index is outside the input.

    Args:
        sizes: sequence of ``(axis, size)`` pairs of ints, in ascending order of the axes.
        mode: ``""``, ``"align_corners"``, ``"half_pixel_centers"`` or ``"half_pixel_onnx"``. Defaults to ``""``.

    Input shape:
        Any shape. The extents of the resized axes must be known when the layer is called.

    Output shape:
        The input shape with the new sizes.

    Raises:
        ValueError: the extent of a resized axis is unknown when the layer is called.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the resized tensor."""
        for axis, size in self.sizes:
            (before,) = known_extents(x, (axis,))
            x = tf.gather(x, _nearest_places(before, size, self.mode), axis=axis)
        return x


def _scale(before: int, after: int, mode: str) -> np.float32:
    """Return the distance between two positions, rounded to float32 as in Caffe."""
    if mode == "align_corners" and after > 1:
        return np.float32(before - 1) / np.float32(after - 1)
    return np.float32(before) / np.float32(after)


def _places(before: int, after: int, mode: str) -> np.ndarray:
    """Return the position of each output value among the ``before`` input values."""
    numbers = np.arange(after, dtype=np.float32)
    scale = _scale(before, after, mode)
    half = np.float32(0.5)
    return (numbers + half) * scale - half if "half_pixel" in mode else numbers * scale


def _nearest_places(before: int, after: int, mode: str) -> np.ndarray:
    """Return the index of the input value that each output value takes."""
    numbers = np.arange(after, dtype=np.float32)
    scale = _scale(before, after, mode)
    if mode == "align_corners":
        found = np.floor((numbers * scale).astype(np.float64) + 0.5)
    elif mode == "half_pixel_onnx":
        found = np.floor((((numbers + np.float32(0.5)) * scale).astype(np.float64) - 0.5).astype(np.float32))
    else:
        found = np.floor((numbers + np.float32(0.5)) * scale if mode else numbers * scale)
    return np.clip(found, 0, before - 1).astype(np.int32)
