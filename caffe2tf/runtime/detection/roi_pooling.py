"""ROIPooling and PSROIPooling: pooling over regions of interest."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["PSROIPooling", "ROIPooling"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class ROIPooling(keras.layers.Layer):
    """Max pooling over boxes: the largest value in each cell of a grid that is laid over each box.

    As in Fast R-CNN's Caffe, the corners of a box are scaled and rounded to pixels of the feature map, cells overlap
    where the grid does not divide the box evenly, and a cell outside the feature map gives 0. The layer computes in
    float32 whatever its dtype policy.

    Args:
        pooled_h: int. The number of rows of the grid.
        pooled_w: int. The number of columns of the grid.
        spatial_scale: float. The size of the feature map relative to the image in which the boxes are measured.
            Defaults to 1.

    Input shape:
        A list of the features, ``(N, H, W, C)``, and the boxes, ``(R, 5)``. A row is the index of the image in the
        batch, left, top, right and bottom. Further values of a row are ignored.

    Output shape:
        ``(R, pooled_h, pooled_w, C)``. Gradients flow to the features, not to the boxes.
    """

    def __init__(self, pooled_h: int, pooled_w: int, spatial_scale: float = 1.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.dtype_policy = "float32"  # pixel coordinates need it, and Caffe's rounding is that of float32
        self.pooled_h = pooled_h
        self.pooled_w = pooled_w
        self.spatial_scale = spatial_scale

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Pool the features over the boxes."""
        x, rois = inputs[0], _box_rows(inputs[1])
        size = tf.shape(x)
        corners = _rounded(rois[:, 1:] * self.spatial_scale)
        top, bottom = self._cells(corners[:, 1], corners[:, 3], self.pooled_h, size[1])
        left, right = self._cells(corners[:, 0], corners[:, 2], self.pooled_w, size[2])
        cells = [tf.shape(rois)[0], self.pooled_h, self.pooled_w]
        bounds = [
            tf.reshape(tf.broadcast_to(b, cells), [-1])
            for b in (top[:, :, None], bottom[:, :, None], left[:, None], right[:, None])
        ]
        images = tf.reshape(tf.broadcast_to(tf.cast(rois[:, 0], tf.int32)[:, None, None], cells), [-1])
        largest = _largest_in_windows(x, images, *bounds)
        return tf.reshape(largest, [-1, self.pooled_h, self.pooled_w, x.shape[3] or size[3]])

    def _cells(self, first: tf.Tensor, last: tf.Tensor, count: int, extent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return where each of ``count`` cells between two indices begins and ends along an axis of the features."""
        step = _divided(tf.maximum(last - first + 1, 1), count)
        index = tf.range(count, dtype=tf.float32)
        begins = tf.cast(tf.floor(index * step[:, None]), tf.int32) + first[:, None]
        ends = tf.cast(tf.math.ceil((index + 1) * step[:, None]), tf.int32) + first[:, None]
        return tf.clip_by_value(begins, 0, extent), tf.clip_by_value(ends, 0, extent)

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return the shape of one grid of features for each box."""
        return (input_shape[1][0], self.pooled_h, self.pooled_w, input_shape[0][3])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {"pooled_h": self.pooled_h, "pooled_w": self.pooled_w, "spatial_scale": self.spatial_scale}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="caffe2tf")
class PSROIPooling(keras.layers.Layer):
    """Position-sensitive average pooling over boxes, as in R-FCN: every cell of the grid has channels of its own.

    With ``g = group_size``, cell ``(i, j)`` of output channel ``k`` is the mean, over the pixels of the cell, of input
    channel ``(k * g + i) * g + j``. A cell outside the feature map gives 0. As in Caffe, the corners of a box are
    rounded, then scaled; a box is at least 0.1 wide and high. The layer computes in float32 whatever its dtype policy.

    Args:
        spatial_scale: float. The size of the feature map relative to the image in which the boxes are measured.
        output_dim: int. The number of output channels.
        group_size: int. The number of rows, and of columns, of the grid.

    Input shape:
        A list of the features, ``(N, H, W, output_dim * group_size ** 2)``, and the boxes, ``(R, 5)``. A row is the
        index of the image in the batch, left, top, right and bottom. Further values of a row are ignored.

    Output shape:
        ``(R, group_size, group_size, output_dim)``. Gradients flow to the features, not to the boxes.
    """

    def __init__(self, spatial_scale: float, output_dim: int, group_size: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.dtype_policy = "float32"  # pixel coordinates need it, and Caffe's rounding is that of float32
        self.spatial_scale = spatial_scale
        self.output_dim = output_dim
        self.group_size = group_size

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Pool the features over the boxes."""
        x, rois = inputs[0], _box_rows(inputs[1])
        size = tf.shape(x)
        first = tf.cast(_rounded(rois[:, 1:3]), tf.float32) * self.spatial_scale
        last = (tf.cast(_rounded(rois[:, 3:5]), tf.float32) + 1) * self.spatial_scale
        top, bottom = (v[:, :, None, None] for v in self._cells(first[:, 1], last[:, 1], size[1]))
        left, right = (v[:, None, :, None] for v in self._cells(first[:, 0], last[:, 0], size[2]))
        sums = _sums_before(x)
        image = tf.cast(rois[:, 0], tf.int32)[:, None, None, None] * (size[1] + 1)
        group = tf.range(self.group_size)
        channel = tf.range(self.output_dim) * self.group_size + group[:, None, None]
        channel = channel * self.group_size + group[:, None]

        def before(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
            place = (image + row) * (size[2] + 1) + column
            return tf.gather(sums, place * size[3] + channel)

        total = before(bottom, right) - before(top, right) - before(bottom, left) + before(top, left)
        area = tf.maximum(bottom - top, 0) * tf.maximum(right - left, 0)
        return tf.where(area > 0, tf.cast(total, tf.float32) / tf.cast(tf.maximum(area, 1), tf.float32), 0.0)

    def _cells(self, first: tf.Tensor, last: tf.Tensor, extent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return where each cell of the grid begins and ends along an axis of the features."""
        step = _divided(tf.maximum(last - first, 0.1), self.group_size)[:, None]  # 0.1: no box is empty
        index = tf.range(self.group_size, dtype=tf.float32)
        begins = tf.cast(tf.floor(index * step + first[:, None]), tf.int32)
        ends = tf.cast(tf.math.ceil((index + 1) * step + first[:, None]), tf.int32)
        return tf.clip_by_value(begins, 0, extent), tf.clip_by_value(ends, 0, extent)

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return the shape of one grid of means for each box."""
        return (input_shape[1][0], self.group_size, self.group_size, self.output_dim)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {"spatial_scale": self.spatial_scale, "output_dim": self.output_dim, "group_size": self.group_size}
        return {**super().get_config(), **own}


def _box_rows(rois: tf.Tensor) -> tf.Tensor:
    """Return the first five values of each box, whatever axes the boxes have."""
    rows, values = tf.shape(rois)[0], 1
    for extent in rois.shape[1:]:
        values *= extent
    return tf.reshape(rois, [rows, values])[:, :5]


def _rounded(x: tf.Tensor) -> tf.Tensor:
    """Return the nearest integers, with halves rounded away from zero as in C.

    ``tf.round`` rounds them to even integers.
    """
    whole = tf.cast(x, tf.int32)
    fraction = x - tf.cast(whole, tf.float32)
    return whole + tf.cast(fraction >= 0.5, tf.int32) - tf.cast(fraction <= -0.5, tf.int32)


def _divided(x: tf.Tensor, by: int) -> tf.Tensor:
    """Return the quotient, rounded to float32 once.

    An optimized graph may multiply by ``1 / by`` instead of dividing. In float64 that does not change the result.
    """
    return tf.cast(tf.cast(x, tf.float64) / by, tf.float32)


def _sums_before(x: tf.Tensor) -> tf.Tensor:
    """Return the summed-area table of ``x``, of shape (N, H + 1, W + 1, C), flattened.

    It is float64, because the sum of a small window is a difference of much larger sums.
    """
    wide = tf.pad(tf.cast(x, tf.float64), [[0, 0], [1, 0], [1, 0], [0, 0]])
    return tf.reshape(tf.cumsum(tf.cumsum(wide, axis=1), axis=2), [-1])


def _largest_in_windows(
    x: tf.Tensor, image: tf.Tensor, top: tf.Tensor, bottom: tf.Tensor, left: tf.Tensor, right: tf.Tensor
) -> tf.Tensor:
    """Return the largest value in each window, for each channel: (windows, C); 0 for an empty window.

    This is a sparse table. A window is covered by four overlapping windows whose extents are powers of 2. The maxima
    over all windows of such a size follow from those of half the size. So the loops go through the sizes in ascending
    order, and stop at the largest that occurs.

    Args:
        x: the features (N, H, W, C).
        image: the index of the image for each window.
        top: the first row of each window.
        bottom: the row behind the last row of each window.
        left: the first column of each window.
        right: the column behind the last column of each window.
    """
    filled = (bottom > top) & (right > left)
    high, wide = (tf.where(filled, _power_below(n), -1) for n in (bottom - top, right - left))
    size = tf.shape(x)

    def at(table: tf.Tensor, which: tf.Tensor, row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        place = (tf.gather(image, which) * size[1] + row) * size[2] + column
        return tf.gather(tf.reshape(table, [-1, size[3]]), place)

    def fill(up: tf.Tensor, across: tf.Tensor, table: tf.Tensor, result: tf.Tensor) -> tf.Tensor:
        which = tf.where((high == up) & (wide == across))[:, 0]
        rows = tf.gather(top, which), tf.gather(bottom, which) - tf.bitwise.left_shift(1, up)
        columns = tf.gather(left, which), tf.gather(right, which) - tf.bitwise.left_shift(1, across)
        upper, lower = (tf.maximum(at(table, which, r, columns[0]), at(table, which, r, columns[1])) for r in rows)
        return tf.tensor_scatter_nd_update(result, which[:, None], tf.maximum(upper, lower))

    def go_across(up: tf.Tensor, table: tf.Tensor, result: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        _, _, result = tf.while_loop(
            lambda across, *_: across <= tf.reduce_max(wide),
            lambda across, part, done: (across + 1, _doubled(part, across, 2), fill(up, across, part, done)),
            (0, table, result),
        )
        return up + 1, _doubled(table, up, 1), result

    start = 0, x, tf.zeros([tf.size(image), size[3]], x.dtype)
    return tf.while_loop(lambda up, *_: up <= tf.reduce_max(high), go_across, start)[2]


def _power_below(n: tf.Tensor) -> tf.Tensor:
    """Return the exponent of the largest power of 2 that does not exceed ``n``; 0 for ``n`` below 2."""
    return tf.reduce_sum(tf.cast(n[:, None] >= [2**k for k in range(1, 24)], tf.int32), axis=1)


def _doubled(table: tf.Tensor, power: tf.Tensor, axis: int) -> tf.Tensor:
    """Return the maxima over windows twice as large along an axis, from those over windows of ``2 ** power``."""
    extent = tf.shape(table)[axis]
    there = tf.minimum(tf.range(extent) + tf.bitwise.left_shift(1, power), extent - 1)
    return tf.maximum(table, tf.gather(table, there, axis=axis))
