"""Proposal and PythonProposal: decode the output of a region proposal network into boxes."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

__all__ = ["Proposal", "PythonProposal"]


class _BoxProposals(keras.layers.Layer):
    """Base class of layers that decode the output of a region proposal network into boxes of one image.

    The predicted offsets move and stretch the anchors, A for each pixel of the feature map. The resulting boxes are
    clipped to the image. The best of them that do not overlap a better one too much are returned, best first, as rows
    of 0, left, top, right and bottom, in pixels of the image. No gradients flow through this layer.
    It computes in float32 whatever its dtype policy.

    Args:
        scales: sequence of floats. The sizes of the anchors in units of `base_size`. Defaults to 8, 16 and 32.
        ratios: sequence of floats. The heights of the anchors divided by their widths. Defaults to 0.5, 1 and 2. There
            is an anchor for each ratio and each scale.
        feat_stride: int. The distance of neighbouring pixels of the feature map in the image. Defaults to 16.
        base_size: int. The size of an anchor of scale 1 and ratio 1. Defaults to 16.
        min_size: int. The least width and height of a box, in pixels of the original image, before it was scaled.
            Defaults to 16.
        pre_nms_topn: int. The number of best boxes that are considered. Defaults to 6000.
        post_nms_topn: int. The largest number of boxes that are returned. Defaults to 300.
        nms_thresh: float. A box is left out if its overlap (intersection over union) with a better one exceeds this.
            Defaults to 0.7.
        fixed_rows: bool. Whether there are exactly `post_nms_topn` rows, with zeros in unused ones, so that the output
            has a static shape. Defaults to False.
        with_scores: bool. Whether the scores are a second output. Defaults to False.

    Input shape:
        A list of the scores, ``(1, H, W, 2 * A)``, whose second half are those of objects; the offsets,
        ``(1, H, W, 4 * A)``; and the height, the width and the scale of the image, ``(1, 3)``.

    Output shape:
        ``(R, 5)``, where the number R of boxes is known only when the model runs. If `with_scores` is true, a tuple of
        that and of R scores.
    """

    _score_axes: tuple[int, ...] = ()  # the axes of the scores after the first
    _apart = True  # see `_greedily_kept`

    def __init__(  # noqa: PLR0913 - one argument for each parameter of Caffe's layer
        self,
        *,
        scales: Sequence[float] = (8.0, 16.0, 32.0),
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        feat_stride: int = 16,
        base_size: int = 16,
        min_size: int = 16,
        pre_nms_topn: int = 6000,
        post_nms_topn: int = 300,
        nms_thresh: float = 0.7,
        fixed_rows: bool = False,
        with_scores: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.dtype_policy = "float32"  # pixel coordinates need it, and Caffe's rounding is that of float32
        self.supports_jit = False  # XLA has no tensors whose extents depend on values
        self.scales = tuple(scales)
        self.ratios = tuple(ratios)
        self.feat_stride = feat_stride
        self.base_size = base_size
        self.min_size = min_size
        self.pre_nms_topn = pre_nms_topn
        self.post_nms_topn = post_nms_topn
        self.nms_thresh = nms_thresh
        self.fixed_rows = fixed_rows
        self.with_scores = with_scores

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        """Decode scores, offsets and the size of the image."""
        scores, offsets, info = (tf.stop_gradient(v) for v in inputs)
        info = tf.reshape(info, [-1])
        count = len(self.scales) * len(self.ratios)
        boxes = self._decoded(offsets[0, :, :, : 4 * count], info)
        boxes, scores = self._best(boxes, tf.reshape(scores[0, :, :, count : 2 * count], [-1]), info)
        kept = _greedily_kept(boxes, self.nms_thresh, self.post_nms_topn, apart=self._apart)
        found = tf.gather(boxes, kept)
        return self._given(tf.pad(found, [[0, 0], [1, 0]]), tf.gather(scores, kept))

    def _anchors(self) -> np.ndarray:
        """Return the anchors (A, 4) of the first pixel: for each ratio, one of each scale."""
        raise NotImplementedError

    def _best(self, boxes: tf.Tensor, scores: tf.Tensor, info: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the boxes that are considered, best first, and their scores."""
        raise NotImplementedError

    def _given(self, rois: tf.Tensor, scores: tf.Tensor) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        """Return the outputs, padded if the number of rows is fixed."""
        if self.fixed_rows:
            missing = self.post_nms_topn - tf.shape(rois)[0]
            rois = tf.reshape(tf.pad(rois, [[0, missing], [0, 0]]), [self.post_nms_topn, 5])
            scores = tf.pad(scores, [[0, missing]])
        scores = tf.reshape(scores, [self.post_nms_topn if self.fixed_rows else -1, *self._score_axes])
        return (rois, scores) if self.with_scores else rois

    def _decoded(self, offsets: tf.Tensor, info: tf.Tensor) -> tf.Tensor:
        """Return the boxes (H * W * A, 4): the anchors after offsets (H, W, 4A), clipped to the image."""
        size, anchors = tf.shape(offsets), self._anchors()
        x, y = tf.meshgrid(tf.range(size[1]) * self.feat_stride, tf.range(size[0]) * self.feat_stride)
        places = tf.cast(tf.stack([x, y, x, y], axis=-1), anchors.dtype)
        anchors = tf.cast(tf.reshape(places[:, :, None] + anchors, [-1, 4]), tf.float32)
        offsets = tf.reshape(offsets, [-1, 4])
        extent = anchors[:, 2:] - anchors[:, :2] + 1.0
        # An optimized graph may reorder a sum of three terms, which would change its rounding. It does not reorder
        # these, because one of the two operations is a subtraction.
        center = offsets[:, :2] * extent + (anchors[:, :2] - -0.5 * extent)
        extent = tf.cast(tf.exp(tf.cast(offsets[:, 2:], tf.float64)), tf.float32) * extent
        half = 0.5 * extent
        corners = tf.concat([center, center], axis=1) - tf.concat([half, -half], axis=1)
        last = tf.stack([info[1], info[0], info[1], info[0]]) - 1.0
        return tf.maximum(tf.minimum(corners, last), 0.0)

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> object:
        """Return the spec of the boxes, and of the scores if they are requested."""
        del inputs
        rows = self.post_nms_topn if self.fixed_rows else None
        rois = keras.KerasTensor((rows, 5), dtype=self.compute_dtype)
        scores = keras.KerasTensor((rows, *self._score_axes), dtype=self.compute_dtype)
        return (rois, scores) if self.with_scores else rois

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "scales": self.scales,
            "ratios": self.ratios,
            "feat_stride": self.feat_stride,
            "base_size": self.base_size,
            "min_size": self.min_size,
            "pre_nms_topn": self.pre_nms_topn,
            "post_nms_topn": self.post_nms_topn,
            "nms_thresh": self.nms_thresh,
            "fixed_rows": self.fixed_rows,
            "with_scores": self.with_scores,
        }


@keras.saving.register_keras_serializable(package="caffe2tf")
class Proposal(_BoxProposals):
    """Decodes the output of a region proposal network as PVANet's Caffe does.

    A box that is too small gets the score 0, and so comes last. The third input may have a fourth value: then the
    third is the scale of the image along its height, and the fourth that along its width. The scores have the shape
    ``(R,)``. See `_BoxProposals` for the arguments and shapes.
    """

    def _anchors(self) -> np.ndarray:
        sides = []
        for ratio in np.array(self.ratios, np.float32):
            width = np.floor(np.sqrt(np.float32(self.base_size**2) / ratio) + np.float32(0.5))
            sides.append((width, np.floor(width * ratio + np.float32(0.5))))
        return _anchors_around(self.base_size, np.array(sides, np.float32), np.array(self.scales, np.float32))

    def _best(self, boxes: tf.Tensor, scores: tf.Tensor, info: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        least = self.min_size * tf.stack([info[tf.minimum(tf.size(info), 4) - 1], info[2]])
        large = tf.reduce_all(boxes[:, 2:] - boxes[:, :2] + 1.0 >= least, axis=1)
        scores = tf.cast(large, tf.float32) * scores
        order = _sorted_as_caffe(scores, self.pre_nms_topn)[: self.pre_nms_topn]
        return tf.gather(boxes, order), tf.gather(scores, order)


@keras.saving.register_keras_serializable(package="caffe2tf")
class PythonProposal(_BoxProposals):
    """Decodes the output of a region proposal network as the Python layer of py-faster-rcnn does.

    Boxes that are too small are left out. The scores have the shape ``(R, 1)``. See `_BoxProposals` for the arguments
    and shapes.
    """

    _score_axes = (1,)
    _apart = False

    def _anchors(self) -> np.ndarray:
        ratios = np.array(self.ratios)
        widths = np.round(np.sqrt(self.base_size**2 / ratios))
        sides = np.stack([widths, np.round(widths * ratios)], axis=1)
        return _anchors_around(self.base_size, sides, np.array(self.scales))

    def _best(self, boxes: tf.Tensor, scores: tf.Tensor, info: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        least = self.min_size * info[2]
        large = tf.where(tf.reduce_all(boxes[:, 2:] - boxes[:, :2] + 1.0 >= least, axis=1))[:, 0]
        scores = tf.gather(scores, large)
        order = tf.argsort(scores, direction="DESCENDING", stable=True)[: self.pre_nms_topn]
        return tf.gather(boxes, tf.gather(large, order)), tf.gather(scores, order)


def _anchors_around(base_size: int, sides: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return boxes (sides * scales, 4) with widths and heights ``sides * scales`` around the centre of the base box."""
    half = 0.5 * (sides[:, None] * scales[:, None] - 1)
    middle = 0.5 * (base_size - 1)
    return np.concatenate([middle - half, middle + half], axis=2).reshape(-1, 4).astype(sides.dtype)


@tf.function(autograph=False, reduce_retracing=True)
def _greedily_kept(boxes: tf.Tensor, threshold: float, most: int, *, apart: bool) -> tf.Tensor:
    """Return the indices of at most ``most`` boxes that do not overlap a better kept one by more than a threshold.

    The boxes are sorted, best first. Both borders belong to a box, so it is ``right - left + 1`` wide. If ``apart`` is
    true, boxes do not overlap if one ends before the other begins, even by less than 1.
    """
    areas = (boxes[:, 2] - boxes[:, 0] + 1.0) * (boxes[:, 3] - boxes[:, 1] + 1.0)
    index = tf.range(tf.shape(boxes)[0])

    def keep_next(count: tf.Tensor, alive: tf.Tensor, kept: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        first = tf.argmax(tf.cast(alive, tf.int32), output_type=tf.int32)
        box, here = boxes[first], index == first
        sides = tf.minimum(boxes[:, 2:], box[2:]) - tf.maximum(boxes[:, :2], box[:2])
        common = tf.maximum(sides[:, 0] + 1.0, 0.0) * tf.maximum(sides[:, 1] + 1.0, 0.0)
        near = common / (areas[first] + areas - common) > threshold
        near = near & tf.reduce_all(sides >= 0.0, axis=1) if apart else near
        return count + 1, alive & ~(here | near), kept | here

    kept = tf.while_loop(
        lambda count, alive, _: (count < most) & tf.reduce_any(alive),
        keep_next,
        (0, tf.ones_like(index, tf.bool), tf.zeros_like(index, tf.bool)),
    )[2]
    return tf.where(kept)[:, 0]


@tf.function(autograph=False, reduce_retracing=True)
def _sorted_as_caffe(scores: tf.Tensor, most: int) -> tf.Tensor:
    """Return the indices that sort the scores in descending order, with equal scores in Caffe's order.

    Only the first ``most`` indices are needed, and only these are sure to be in that order.
    """
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    best = tf.gather(scores, order[: most + 1])
    return tf.cond(tf.reduce_any(best[1:] == best[:-1]), lambda: _quicksorted(scores, most), lambda: order)


def _quicksorted(scores: tf.Tensor, most: int) -> tf.Tensor:
    """Return what `_sorted_as_caffe` returns, by following Caffe's quicksort, which is not stable.

    The pivot is the first element of a partition. All partitions are split at the same time, until those that reach
    into the first ``most`` places are sorted. Splitting a sorted partition does not change it.
    """

    def is_unsorted(order: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        ranked = tf.gather(scores, order)
        return tf.reduce_any((ranked[1:] > ranked[:-1]) & (start[1:] == start[:-1]) & (start[1:] < most))

    place = tf.range(tf.shape(scores)[0])
    return tf.while_loop(is_unsorted, lambda order, start: _parted(scores, order, start), (place, 0 * place))[0]


def _parted(scores: tf.Tensor, order: tf.Tensor, start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Split all partitions once; return the order of the indices, and where the partition of each place starts."""
    place = tf.range(tf.size(order))
    run = tf.cumsum(tf.cast(place == start, tf.int32)) - 1
    last = tf.gather(tf.math.segment_max(place, run), run)
    ranked = tf.gather(scores, order)
    pivot = tf.gather(ranked, start)
    less, more = tf.cast(ranked < pivot, tf.int32), tf.cast(ranked > pivot, tf.int32)
    # Swap the first smaller score with the last larger one, the second with the second to last, until they meet.
    rank = tf.cumsum(less, exclusive=True) - tf.gather(tf.cumsum(less, exclusive=True), start)
    partner = tf.gather(tf.cumsum(more), last) - 1 - rank
    larger = tf.concat([tf.cast(tf.where(more > 0)[:, 0], tf.int32), [0]], axis=0)
    other = tf.gather(larger, tf.clip_by_value(partner, 0, tf.size(larger) - 1))
    is_swapped = (less > 0) & (partner >= tf.gather(tf.cumsum(more, exclusive=True), start)) & (place < other)
    order = _exchanged(order, place[is_swapped], other[is_swapped])
    # Swap the pivot with the last larger score; then it is in its final place.
    is_larger = tf.gather(scores, order) > pivot
    middle = tf.math.segment_max(tf.where(is_larger, place, start), run)
    order = _exchanged(order, tf.math.segment_min(place, run), middle)
    middle = tf.gather(middle, run)
    return order, tf.where(place < middle, start, tf.minimum(place, middle + 1))


def _exchanged(order: tf.Tensor, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return ``order`` with the values at ``first`` and at ``second`` swapped."""
    places = tf.concat([first, second], axis=0)
    return tf.tensor_scatter_nd_update(order, places[:, None], tf.gather(order, tf.concat([second, first], axis=0)))
