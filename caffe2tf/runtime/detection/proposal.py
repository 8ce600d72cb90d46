"""Proposals of a region proposal network: boxes made of anchors, the best of those that overlap little."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

__all__ = ["Proposal", "PythonProposal"]


class _BoxProposals(keras.layers.Layer):
    """Boxes (R, 5) of an image, best first: 0, left, top, right, bottom; R is known only at run time.

    Args:
        scales: extents of the anchors, in units of `base_size`.
        ratios: heights of the anchors divided by their widths.
        feat_stride: distance of the places of the feature map in the image.
        base_size: extent of an anchor of scale 1 and ratio 1.
        min_size: least extent of a box in the original image.
        pre_nms_topn: how many boxes at most are looked at, the best ones.
        post_nms_topn: how many boxes at most are given.
        nms_thresh: a box that overlaps a better one by more than this (intersection over union) is left out.
        fixed_rows: whether there are always `post_nms_topn` rows, of zeros where there are fewer boxes.
        with_scores: whether the scores are a second output.
    """

    _score_axes: tuple[int, ...] = ()  # that the scores have besides the rows
    _apart = True  # see `_greedily_kept`

    def __init__(  # noqa: PLR0913 - Caffe's parameters
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
        """Scores (1, H, W, 2A), offsets (1, H, W, 4A), and height, width and scale of the image (1, 3 or more).

        A is the count of anchors. Of the scores the second half is read: of the first, what is no object.
        """
        scores, offsets, info = (tf.stop_gradient(v) for v in inputs)
        info = tf.reshape(info, [-1])
        count = len(self.scales) * len(self.ratios)
        boxes = self._decoded(offsets[0, :, :, : 4 * count], info)
        boxes, scores = self._best(boxes, tf.reshape(scores[0, :, :, count : 2 * count], [-1]), info)
        kept = _greedily_kept(boxes, self.nms_thresh, self.post_nms_topn, apart=self._apart)
        found = tf.gather(boxes, kept)
        return self._given(tf.pad(found, [[0, 0], [1, 0]]), tf.gather(scores, kept))

    def _anchors(self) -> np.ndarray:
        """The anchors (A, 4) at the first place: for each ratio, one of each scale."""
        raise NotImplementedError

    def _best(self, boxes: tf.Tensor, scores: tf.Tensor, info: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The boxes that are looked at, best first, and their scores."""
        raise NotImplementedError

    def _given(self, rois: tf.Tensor, scores: tf.Tensor) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        """The outputs, padded where their rows are fixed."""
        if self.fixed_rows:
            missing = self.post_nms_topn - tf.shape(rois)[0]
            rois = tf.reshape(tf.pad(rois, [[0, missing], [0, 0]]), [self.post_nms_topn, 5])
            scores = tf.pad(scores, [[0, missing]])
        scores = tf.reshape(scores, [self.post_nms_topn if self.fixed_rows else -1, *self._score_axes])
        return (rois, scores) if self.with_scores else rois

    def _decoded(self, offsets: tf.Tensor, info: tf.Tensor) -> tf.Tensor:
        """Boxes (H * W * A, 4), clipped to the image, of the anchors moved and stretched by offsets (H, W, 4A)."""
        size, anchors = tf.shape(offsets), self._anchors()
        x, y = tf.meshgrid(tf.range(size[1]) * self.feat_stride, tf.range(size[0]) * self.feat_stride)
        places = tf.cast(tf.stack([x, y, x, y], axis=-1), anchors.dtype)
        anchors = tf.cast(tf.reshape(places[:, :, None] + anchors, [-1, 4]), tf.float32)
        offsets = tf.reshape(offsets, [-1, 4])
        extent = anchors[:, 2:] - anchors[:, :2] + 1.0
        # Sums of three terms have a subtraction in them: a graph may add three in an order of its own.
        center = offsets[:, :2] * extent + (anchors[:, :2] - -0.5 * extent)
        extent = tf.cast(tf.exp(tf.cast(offsets[:, 2:], tf.float64)), tf.float32) * extent
        half = 0.5 * extent
        corners = tf.concat([center, center], axis=1) - tf.concat([half, -half], axis=1)
        last = tf.stack([info[1], info[0], info[1], info[0]]) - 1.0
        return tf.maximum(tf.minimum(corners, last), 0.0)

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> object:
        """Boxes, and scores where they are asked for."""
        del inputs
        rows = self.post_nms_topn if self.fixed_rows else None
        rois = keras.KerasTensor((rows, 5), dtype=self.compute_dtype)
        scores = keras.KerasTensor((rows, *self._score_axes), dtype=self.compute_dtype)
        return (rois, scores) if self.with_scores else rois

    def get_config(self) -> dict[str, object]:
        """Arguments."""
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
    """Proposals as PVANet's Caffe makes them: a box that is too small has the score 0, and comes last.

    Where the image has a fourth number, the third is its scale along the height and the fourth along the width.
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
    """Proposals as the Python layer of py-faster-rcnn makes them: boxes that are too small are left out."""

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
    """Boxes (sides * scales, 4) with widths and heights ``sides * scales`` around the middle of the base box."""
    half = 0.5 * (sides[:, None] * scales[:, None] - 1)
    middle = 0.5 * (base_size - 1)
    return np.concatenate([middle - half, middle + half], axis=2).reshape(-1, 4).astype(sides.dtype)


@tf.function(autograph=False, reduce_retracing=True)
def _greedily_kept(boxes: tf.Tensor, threshold: float, most: int, *, apart: bool) -> tf.Tensor:
    """Indices of the boxes, best first, that overlap none kept before by more than a threshold; at most ``most``.

    A box holds the values at both its borders. With ``apart``, boxes of which one ends before the other begins have
    nothing in common even so.
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
    """Indices of the scores, largest first, of which the first ``most`` are needed; equal ones in Caffe's own order."""
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    best = tf.gather(scores, order[: most + 1])
    return tf.cond(tf.reduce_any(best[1:] == best[:-1]), lambda: _quicksorted(scores, most), lambda: order)


def _quicksorted(scores: tf.Tensor, most: int) -> tf.Tensor:
    """As `_sorted_as_caffe`, by the quicksort in Caffe, which moves equal scores past each other.

    The pivot is the first of a run of places. All runs are parted at the same time, until those that reach into the
    first ``most`` places are in order: parting a run that is in order leaves it as it is.
    """

    def is_unsorted(order: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        ranked = tf.gather(scores, order)
        return tf.reduce_any((ranked[1:] > ranked[:-1]) & (start[1:] == start[:-1]) & (start[1:] < most))

    place = tf.range(tf.shape(scores)[0])
    return tf.while_loop(is_unsorted, lambda order, start: _parted(scores, order, start), (place, 0 * place))[0]


def _parted(scores: tf.Tensor, order: tf.Tensor, start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """One step of quicksort for all runs: the order of the indices, and for each place where its run starts."""
    place = tf.range(tf.size(order))
    run = tf.cumsum(tf.cast(place == start, tf.int32)) - 1
    last = tf.gather(tf.math.segment_max(place, run), run)
    ranked = tf.gather(scores, order)
    pivot = tf.gather(ranked, start)
    less, more = tf.cast(ranked < pivot, tf.int32), tf.cast(ranked > pivot, tf.int32)
    # The first smaller score changes places with the last larger one, and so on, until they meet.
    rank = tf.cumsum(less, exclusive=True) - tf.gather(tf.cumsum(less, exclusive=True), start)
    partner = tf.gather(tf.cumsum(more), last) - 1 - rank
    larger = tf.concat([tf.cast(tf.where(more > 0)[:, 0], tf.int32), [0]], axis=0)
    other = tf.gather(larger, tf.clip_by_value(partner, 0, tf.size(larger) - 1))
    is_swapped = (less > 0) & (partner >= tf.gather(tf.cumsum(more, exclusive=True), start)) & (place < other)
    order = _exchanged(order, place[is_swapped], other[is_swapped])
    # The pivot changes places with the last larger score, and is where it belongs.
    is_larger = tf.gather(scores, order) > pivot
    middle = tf.math.segment_max(tf.where(is_larger, place, start), run)
    order = _exchanged(order, tf.math.segment_min(place, run), middle)
    middle = tf.gather(middle, run)
    return order, tf.where(place < middle, start, tf.minimum(place, middle + 1))


def _exchanged(order: tf.Tensor, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """``order`` with the values at ``first`` and at ``second`` exchanged."""
    places = tf.concat([first, second], axis=0)
    return tf.tensor_scatter_nd_update(order, places[:, None], tf.gather(order, tf.concat([second, first], axis=0)))
