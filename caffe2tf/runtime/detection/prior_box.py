"""Prior boxes: the grid of boxes that a detector's head corrects."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

__all__ = ["PriorBox"]

Extents = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="caffe2tf")
class PriorBox(keras.layers.Layer):
    """Boxes of given sizes round the centre of each cell of a grid, and their variances.

    Called on a tensor that has as many rows and columns as the grid, or on that and the image. Only their shapes are
    read. The output is (1, 2, 4 * rows * columns * boxes), the same for the whole batch: along axis 1 the boxes, then
    the variances; along axis 2, for each cell, row by row, and for each size, left, top, right and bottom, where 1 is
    the width or the height of the image.

    Args:
        sizes: width and height of each box, in pixels of the image.
        variances: one for all, or one for each of left, top, right and bottom.
        image_size: height and width of the image; None where the image is the second input.
        steps: distance of the centres down and across, in pixels; None to divide the image by rows and columns.
        offset: where in a cell its centre lies: 0 at its start, 1 at its end. Or several of them, each down and across:
            every size then has a box for each of them, one after the other.
        clip: whether boxes end where the image ends.
        inset: for each size, how far its box is drawn in from each side, in parts of the image; none where empty.
        yx: whether a box is top, left, bottom and right, instead.
        axes: the axes of rows and columns in the first input; None for one that it lacks, which counts as one.
        image_axes: likewise in the second.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each of Caffe's
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
        """The grid's tensor, or that and the image; (1, 2, n) out."""
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
        """(1, 2, 4 * rows * columns * boxes)."""
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        rows, columns = (1 if a is None else shape[a] for a in self.axes)
        return (
            1,
            2,
            None if rows is None or columns is None else 4 * rows * columns * len(self.sizes) * len(self.offsets),
        )

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
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
    """Extents along axes, as numbers wherever they are known before the model runs."""
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
    """Where boxes begin and end along one axis: two tensors (count, sizes), in parts of ``extent``.

    Rounded as Caffe rounds: steps and centres are float32, what follows from them is float64 until it is stored.
    """
    distance = tf.cast(extent, tf.float32) / tf.cast(count, tf.float32) if step is None else tf.constant(step)
    centres = (tf.cast(tf.range(count), tf.float32)[:, None] + offsets) * distance
    middle, half = tf.cast(centres, tf.float64), sizes.astype(np.float64) / 2
    whole = tf.cast(extent, tf.float64)
    begins, ends = (middle - half) / whole + inset, (middle + half) / whole - inset
    return tf.cast(begins, tf.float32), tf.cast(ends, tf.float32)
