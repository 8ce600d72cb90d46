"""DetectionOutput: decodes the predictions of SSD into detections."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from caffe2tf.runtime.detection.suppression import keep_best_boxes, rows_or_none

__all__ = ["DetectionOutput"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class DetectionOutput(keras.layers.Layer):
    """Decodes SSD predictions into detections.

    For each image and each class, the layer adds the predicted offsets to the prior boxes, keeps the boxes whose
    score is high enough, and removes those that overlap a better one (non-maximum suppression). Then it keeps the
    best detections of each image.

    A detection is a row of seven values: image, class, score, left, top, right, bottom. Rows are sorted by image, by
    class, then by descending score. As in Caffe, if no image has any detection, there is one row for each image: its
    number, followed by -1. The layer computes in float32 whatever its dtype policy.

    Args:
        num_classes: int. The number of classes, the background included.
        share_location: bool. Whether a prior has one box for all classes, or one for each. Defaults to True.
        background_label_id: int. The class that is not detected. Defaults to 0; -1 if there is none.
        code_type: how offsets are encoded. ``"corner"`` (the default): they are added to the corners of the prior;
            ``"corner_size"``: the same, in units of the prior's size; ``"center_size"``: the first two move the
            centre, in units of the prior's size, and the others are the logarithms of a scale of the size.
        variance_encoded_in_target: bool. Whether offsets are used as they are. If false (the default), they are
            multiplied by the variances of the priors.
        nms_threshold: float. A box is removed if its overlap (intersection over union) with a better box of its class
            exceeds this. Defaults to 0.3.
        top_k: int. The number of best boxes of each class that are considered. Defaults to -1: all.
        eta: float. After each box that is kept, the threshold is multiplied by this while it exceeds 0.5. Defaults
            to 1.
        keep_top_k: int. The largest number of detections of an image. Defaults to -1: no limit.
        confidence_threshold: float. Only boxes with a greater score are considered. Defaults to None: all.
        fixed_rows: bool. Whether every image has exactly `keep_top_k` rows, with -1 in unused ones, so that the
            output has a static shape. Defaults to False.

    Input shape:
        A list of the offsets, ``(N, priors * 4)``, or ``(N, priors * num_classes * 4)`` if `share_location` is false;
        the scores, ``(N, priors * num_classes)``; and the priors, ``(1, 2, priors * 4)``, as `PriorBox` returns them.

    Output shape:
        ``(1, 1, detections, 7)``. If `fixed_rows` is true, the number of detections is ``N * keep_top_k``.
    """

    def __init__(  # noqa: PLR0913 - one argument for each parameter of Caffe's layer
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
        self.dtype_policy = "float32"  # pixel coordinates need it, and Caffe's rounding is that of float32
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
        """Decode offsets, scores and priors."""
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
        """Return the corners of all boxes: (images, priors, classes or 1, 4)."""
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
        """Return descending scores (images, classes, boxes), the corners of their boxes, and a mask of those kept."""
        lowest = scores.dtype.min if self.confidence_threshold is None else self.confidence_threshold
        candidates = scores > lowest
        most = tf.maximum(
            0, tf.reduce_max(tf.reduce_sum(tf.cast(candidates, tf.int32), axis=2))
        )  # sort no more than that
        if self.top_k > -1:
            most = tf.minimum(most, self.top_k)
        ordered, places = tf.math.top_k(
            tf.where(candidates, scores, -float("inf")), most
        )  # the first of equal scores comes first, as in Caffe
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
        """Return the `keep_top_k` best rows of each image, in their order, and a mask of those that are detections."""
        count = tf.shape(kept)[1]
        scores = tf.where(kept, rows[..., 2], -float("inf"))
        best, places = tf.math.top_k(scores, tf.minimum(count, self.keep_top_k))
        places = tf.sort(tf.where(best > -float("inf"), places, count), axis=1)
        if self.fixed_rows:
            places = tf.pad(places, [[0, 0], [0, self.keep_top_k - tf.shape(places)[1]]], constant_values=tf.int32.max)
        there = places < count
        rows = tf.pad(rows, [[0, 0], [0, 1], [0, 0]])  # so that an unused place has a row to gather
        return tf.gather(rows, tf.minimum(places, count), batch_dims=1), there

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return the output shape; the number of rows is known only if it is fixed and the batch is known."""
        images = input_shape[0][0]
        fixed = self.fixed_rows and images is not None
        return (1, 1, images * self.keep_top_k if fixed and images is not None else None, 7)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        names = (
            "num_classes share_location background_label_id code_type variance_encoded_in_target nms_threshold top_k "
            "eta keep_top_k confidence_threshold fixed_rows"
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


def _along(numbers: tf.Tensor, like: tf.Tensor, axis: int) -> tf.Tensor:
    """Return ``numbers`` along one of three axes, broadcast to the shape of ``like`` and a last axis of extent 1."""
    shape = [1, 1, 1]
    shape[axis] = -1
    return tf.broadcast_to(tf.cast(tf.reshape(numbers, shape), like.dtype), tf.shape(like))[..., None]
