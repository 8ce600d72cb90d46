"""DetectionOutput of SSD: boxes from offsets to priors, the best of each class."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from caffe2tf.runtime.detection.suppression import keep_best_boxes, rows_or_none

__all__ = ["DetectionOutput"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class DetectionOutput(keras.layers.Layer):
    """Of SSD's predicted offsets, scores and prior boxes, the detections: (1, 1, n, 7).

    A row is image, class, score, left, top, right, bottom. Rows are in order of images, then of classes, then of
    falling scores. Where no image has any, there is one row for each image: its number, then -1.

    Args:
        num_classes: how many classes are scored.
        share_location: whether all classes have the same box.
        background_label_id: the class that is not looked for.
        code_type: what offsets are: "corner" (added to the corners), "corner_size" (the same, in units of the prior's
            size) or "center_size" (of the centre, in units of the size, and logarithms of the scale).
        variance_encoded_in_target: whether offsets are taken as they are, not multiplied with the variances.
        nms_threshold: overlap with a better box of its class above which a box is removed.
        top_k: how many boxes of a class are looked at, the best ones; -1 for all.
        eta: what the threshold is multiplied with after each box that stays, while it is above 0.5.
        keep_top_k: how many detections an image has at most; -1 for any number.
        confidence_threshold: a score must be above it; None for any score.
        fixed_rows: whether every image has `keep_top_k` rows, of which unused ones hold -1.
    """

    def __init__(  # noqa: PLR0913 - one for each parameter of Caffe's layer
        self,
        num_classes: int,
        *,
        share_location: bool = True,
        background_label_id: int = 0,
        code_type: str = "corner",
        variance_encoded_in_target: bool = False,
        nms_threshold: float = 0.3,
        top_k: int = -1,
        eta: float = 1.0,
        keep_top_k: int = -1,
        confidence_threshold: float | None = None,
        fixed_rows: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.share_location = share_location
        self.background_label_id = background_label_id
        self.code_type = code_type
        self.variance_encoded_in_target = variance_encoded_in_target
        self.nms_threshold = nms_threshold
        self.top_k = top_k
        self.eta = eta
        self.keep_top_k = keep_top_k
        self.confidence_threshold = confidence_threshold
        self.fixed_rows = fixed_rows
        self.supports_jit = False  # XLA has no tensors whose extents depend on values

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Offsets (batch, priors * 4), scores (batch, priors * classes), priors (1, 2, priors * 4)."""
        offsets, scores, priors = inputs
        images = tf.shape(offsets)[0]
        labels = tf.constant([c for c in range(self.num_classes) if c != self.background_label_id], tf.int32)
        own = 1 if self.share_location else self.num_classes
        boxes = self._decode(tf.reshape(offsets, [images, -1, own, 4]), priors)
        boxes = tf.transpose(boxes, [0, 2, 1, 3])  # image, class, prior
        if not self.share_location:
            boxes = tf.gather(boxes, labels, axis=1)
        by_class = tf.transpose(tf.reshape(scores, [images, -1, self.num_classes]), [0, 2, 1])
        found, corners, kept = self._best_of_classes(tf.gather(by_class, labels, axis=1), boxes)
        rows = tf.concat(
            [
                _along(tf.range(images), found, 0),
                _along(labels, found, 1),
                found[..., None],
                corners,
            ],
            axis=3,
        )
        count = tf.size(labels) * tf.shape(found)[2]
        rows, kept = tf.reshape(rows, [images, count, 7]), tf.reshape(kept, [images, count])
        if self.keep_top_k > -1:
            rows, kept = self._best_of_images(rows, kept)
        if self.fixed_rows:
            return tf.reshape(tf.where(kept[..., None], rows, -1.0), [1, 1, -1, 7])
        return rows_or_none(tf.boolean_mask(rows, kept), images)

    def _decode(self, offsets: tf.Tensor, priors: tf.Tensor) -> tf.Tensor:
        """Corners (images, priors, classes or 1, 4) of boxes."""
        count = tf.shape(offsets)[1]
        values = tf.reshape(priors[0], [-1])
        prior = tf.reshape(values[: 4 * count], [count, 1, 4])
        if not self.variance_encoded_in_target:
            offsets = tf.reshape(values[4 * count : 8 * count], [count, 1, 4]) * offsets
        if self.code_type == "corner":
            return prior + offsets
        size = prior[..., 2:] - prior[..., :2]
        if self.code_type == "corner_size":
            return prior + offsets * tf.tile(size, [1, 1, 2])
        center = offsets[..., :2] * size + (prior[..., :2] + prior[..., 2:]) / 2
        half = tf.exp(offsets[..., 2:]) * size / 2
        return tf.concat([center - half, center + half], axis=3)

    def _best_of_classes(self, scores: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Scores in falling order (images, classes, boxes), their boxes' corners, and which of them stay."""
        lowest = scores.dtype.min if self.confidence_threshold is None else self.confidence_threshold
        candidates = scores > lowest
        most = tf.maximum(0, tf.reduce_max(tf.reduce_sum(tf.cast(candidates, tf.int32), axis=2)))  # no more is sorted
        if self.top_k > -1:
            most = tf.minimum(most, self.top_k)
        ordered, places = tf.math.top_k(tf.where(candidates, scores, -float("inf")), most)  # of equals, the first first
        if self.share_location:
            corners = tf.gather(boxes[:, 0], places, batch_dims=1)
        else:
            corners = tf.gather(boxes, places, batch_dims=2)
        width, height = corners[..., 2] - corners[..., 0], corners[..., 3] - corners[..., 1]
        sizes = tf.where((width < 0) | (height < 0), 0.0, width * height)
        together = tf.shape(scores)[0] * tf.shape(scores)[1]
        kept = keep_best_boxes(
            tf.reshape(corners, [together, most, 4]),
            tf.reshape(sizes, [together, most]),
            tf.reshape(ordered > -float("inf"), [together, most]),
            tf.constant(self.nms_threshold, scores.dtype),
            tf.constant(self.eta, scores.dtype),
        )
        return ordered, corners, tf.reshape(kept, tf.shape(ordered))

    def _best_of_images(self, rows: tf.Tensor, kept: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Of each image's rows the `keep_top_k` best, in their order, and which of them are detections."""
        count = tf.shape(kept)[1]
        scores = tf.where(kept, rows[..., 2], -float("inf"))
        best, places = tf.math.top_k(scores, tf.minimum(count, self.keep_top_k))
        places = tf.sort(tf.where(best > -float("inf"), places, count), axis=1)
        if self.fixed_rows:
            places = tf.pad(places, [[0, 0], [0, self.keep_top_k - tf.shape(places)[1]]], constant_values=tf.int32.max)
        there = places < count
        rows = tf.pad(rows, [[0, 0], [0, 1], [0, 0]])  # so that there is one to gather
        return tf.gather(rows, tf.minimum(places, count), batch_dims=1), there

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """A known number of rows only where it is fixed, and the batch is."""
        images = input_shape[0][0]
        fixed = self.fixed_rows and images is not None
        return (1, 1, images * self.keep_top_k if fixed and images is not None else None, 7)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        names = (
            "num_classes share_location background_label_id code_type variance_encoded_in_target nms_threshold top_k "
            "eta keep_top_k confidence_threshold fixed_rows"
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


def _along(numbers: tf.Tensor, like: tf.Tensor, axis: int) -> tf.Tensor:
    """``numbers`` along one of three axes, with an axis of extent 1 behind."""
    shape = [1, 1, 1]
    shape[axis] = -1
    return tf.broadcast_to(tf.cast(tf.reshape(numbers, shape), like.dtype), tf.shape(like))[..., None]
