"""PriorBox: the grid of default boxes that a detector refines."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

__all__ = ["PriorBox"]

Extents = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="caffe2tf")
class PriorBox(keras.layers.Layer):
    """Generates SSD's prior boxes: boxes of given sizes around the centre of each cell of a feature map.

    Only the shapes of the inputs are read, so the output is the same for the whole batch. Coordinates are relative to
    the image: 1 is its width or height. They are rounded as Caffe rounds them.

    Args:
        sizes: sequence of ``(width, height)`` pairs of floats. The boxes of a cell, in pixels of the image.
        variances: sequence of one float for all coordinates, or of four for left, top, right and bottom. They are
            returned next to the boxes. Defaults to 0.1.
        image_size: ``(height, width)`` of the image. Defaults to None: the image is the second input.
        steps: ``(down, across)``, the distance of neighbouring centres in pixels. Defaults to None: the height of the
            image divided by the rows of the feature map, and the width by the columns.
        offset: float. The position of the centre in its cell, from 0 (its start) to 1 (its end). Defaults to 0.5. Or
            a sequence of ``(down, across)`` pairs; every size then has one box for each pair, in this order.
        clip: bool. Whether boxes are clipped to the image. Defaults to False.
        inset: sequence of floats, one for each size: how far each side of the box is moved inwards, relative to the
            image. Defaults to none: 0.
        yx: bool. Whether coordinates are ordered top, left, bottom, right. Defaults to False: left, top, right,
            bottom.
        axes: the axes of rows and columns in the first input. Defaults to ``(1, 2)``. None stands for an axis that
            the input lacks; it has extent 1.
        image_axes: the same for the second input.

    Input shape:
        The feature map, for example ``(N, rows, columns, C)``; or a list of the feature map and the image, for example
        ``(N, H, W, 3)``.

    Output shape:
        ``(1, 2, rows * columns * boxes * 4)``. Index 0 of axis 1 holds the coordinates, index 1 the variances. Along
        axis 2, the cells follow row by row, each with all its boxes.
    """

    def __init__(  # noqa: PLR0913 - one argument for each parameter of Caffe's layer
        self,
        sizes: Sequence[tuple[float, float]],
        variances: Sequence[float] = (0.1,),
        *,
        image_size: tuple[int, int] | None = None,
        steps: tuple[float, float] | None = None,
        offset: float | Sequence[tuple[float, float]] = 0.5,
        clip: bool = False,
        inset: Sequence[float] = (),
        yx: bool = False,
        axes: tuple[int | None, int | None] = (1, 2),
        image_axes: tuple[int | None, int | None] = (1, 2),
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple((width, height) for width, height in sizes)
        self.variances, self.clip, self.inset, self.yx = tuple(variances), clip, tuple(inset), yx
        several = () if isinstance(offset, int | float) else tuple((down, across) for down, across in offset)
        self.offset = several or offset
        self.offsets = several or ((offset, offset),)
        self.image_size = None if image_size is None else tuple(image_size)
        self.steps = None if steps is None else tuple(steps)
        self.axes, self.image_axes = tuple(axes), tuple(image_axes)

    def call(self, inputs: tf.Tensor | Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the boxes and the variances."""
        grid, image = inputs if isinstance(inputs, list | tuple) else (inputs, None)
        rows, columns = _extents_of(grid, self.axes)
        height, width = self.image_size or _extents_of(image, self.image_axes)
        count, each = len(self.sizes), len(self.offsets)
        widths, heights = np.repeat(np.array(self.sizes, np.float32), each, axis=0).T
        offsets = np.tile(np.array(self.offsets, np.float32), (count, 1)).T
        inset = np.repeat(np.array(self.inset or [0] * count, np.float64), each)
        down, across = self.steps or (None, None)
        left, right = (v[None] for v in _edges(columns, width, across, offsets[1], widths, inset))
        top, bottom = (v[:, None] for v in _edges(rows, height, down, offsets[0], heights, inset))
        sides = (top, left, bottom, right) if self.yx else (left, top, right, bottom)
        boxes = tf.stack([tf.broadcast_to(v, (rows, columns, count * each)) for v in sides], axis=-1)
        boxes = tf.clip_by_value(boxes, 0, 1) if self.clip else boxes
        variances = tf.broadcast_to(tf.constant(self.variances, tf.float32), tf.shape(boxes))
        return tf.cast(tf.reshape(tf.stack([boxes, variances]), [1, 2, -1]), self.compute_dtype)

    def compute_output_shape(self, input_shape: Extents | list[Extents]) -> Extents:
        """Return ``(1, 2, rows * columns * boxes * 4)``."""
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        rows, columns = (1 if a is None else shape[a] for a in self.axes)
        return (
            1,
            2,
            None if rows is None or columns is None else 4 * rows * columns * len(self.sizes) * len(self.offsets),
        )

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {
            "sizes": self.sizes,
            "variances": self.variances,
            "image_size": self.image_size,
            "steps": self.steps,
            "offset": self.offset,
            "clip": self.clip,
            "inset": self.inset,
            "yx": self.yx,
            "axes": self.axes,
            "image_axes": self.image_axes,
        }
        return {**super().get_config(), **own}


def _extents_of(x: tf.Tensor, axes: Sequence[int | None]) -> list[int | tf.Tensor]:
    """Return extents along axes: ints if they are known when the model is built, else tensors."""
    known = [1 if a is None else x.shape[a] for a in axes]
    return [tf.shape(x)[a] if d is None else d for a, d in zip(axes, known, strict=True)]


def _edges(
    count: int | tf.Tensor,
    extent: int | tf.Tensor,
    step: float | None,
    offsets: np.ndarray,
    sizes: np.ndarray,
    inset: np.ndarray,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return where boxes begin and end along one axis, relative to ``extent``: two tensors (count, sizes).

    As in Caffe, steps and centres are rounded to float32, and what follows is float64 until it is stored as float32.
    """
    distance = tf.cast(extent, tf.float32) / tf.cast(count, tf.float32) if step is None else tf.constant(step)
    centres = (tf.cast(tf.range(count), tf.float32)[:, None] + offsets) * distance
    middle, half = tf.cast(centres, tf.float64), sizes.astype(np.float64) / 2
    whole = tf.cast(extent, tf.float64)
    begins, ends = (middle - half) / whole + inset, (middle + half) / whole - inset
    return tf.cast(begins, tf.float32), tf.cast(ends, tf.float32)
