"""YoloDetectionOutput, Yolov3DetectionOutput and Region: the output layers of YOLO."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from caffe2tf.runtime.detection.suppression import keep_best_boxes, rows_or_none

__all__ = ["Region", "YoloDetectionOutput", "Yolov3DetectionOutput"]


class _GridDetections(keras.layers.Layer):
    """Base class of layers that decode YOLO's feature maps into detections.

    A detection is a row of seven values: 0, class + 1, score, left, top, right, bottom, relative to the image. Rows
    are sorted by descending score. As in Caffe, the first value is always 0, and boxes of all feature maps, images and
    classes suppress each other. If there are no detections, there is one row for each image: its number, followed by
    -1. The layer computes in float32 whatever its dtype policy.

    Args:
        num_classes: int. The number of classes.
        anchors: the width and the height of each box of a cell.
        confidence_threshold: float. The least score of a detection. Defaults to 0.01.
        nms_threshold: float. A box is removed if its overlap (intersection over union) with a better box is at least
            this. Defaults to 0.45.
        fixed_rows: bool. Whether there are as many rows as boxes, with -1 in unused ones, so that the output has a
            static shape. Defaults to False.

    Input shape:
        One feature map, or a list of several: ``(N, H, W, boxes * (5 + num_classes))``. The values of a box are the
        offsets of its centre across and down, the logarithms of the scales of its width and height, its objectness,
        and the scores of its classes.

    Output shape:
        ``(1, 1, detections, 7)``.
    """

    def __init__(
        self,
        num_classes: int,
        anchors: Sequence[Any],
        *,
        confidence_threshold: float = 0.01,
        nms_threshold: float = 0.45,
        fixed_rows: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.dtype_policy = "float32"  # pixel coordinates need it, and Caffe's rounding is that of float32
        self.num_classes = num_classes
        self.anchors = anchors
        self.confidence_threshold = confidence_threshold
        self.nms_threshold = nms_threshold
        self.fixed_rows = fixed_rows
        self.supports_jit = False  # XLA has no tensors whose extents depend on values

    def call(self, inputs: tf.Tensor | Sequence[tf.Tensor]) -> tf.Tensor:
        """Decode one feature map or several."""
        maps = _one_or_more(inputs)
        boxes, chosen, scores, classes = self.candidates(maps)
        rows = _best_of_all(tf.gather(boxes, chosen), scores, classes, self.nms_threshold)
        return _filled(rows, tf.shape(boxes)[0]) if self.fixed_rows else rows_or_none(rows, tf.shape(maps[0])[0])

    def candidates(self, maps: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return all boxes (n, 4), and for each candidate the index of its box, its score and its class."""
        raise NotImplementedError

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...] | Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        """Return the output shape; the number of rows is known only if it is fixed and all extents are known."""
        return (1, 1, self.count(_one_or_more_shapes(input_shape)) if self.fixed_rows else None, 7)

    def count(self, shapes: Sequence[tuple[int | None, ...]]) -> int | None:
        """Return the number of boxes in feature maps of these shapes; None if an extent is None."""
        raise NotImplementedError

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        names = "num_classes anchors confidence_threshold nms_threshold fixed_rows"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


@keras.saving.register_keras_serializable(package="caffe2tf")
class YoloDetectionOutput(_GridDetections):
    """Decodes the feature maps of YOLO v2 into detections.

    The score of a box is its objectness, after the logistic function, times the softmax of its best class; the other
    classes are not considered. As in Caffe, a feature map is read as if its height were its width: rows below the
    square are ignored. Anchors are in cells of the feature map. See `_GridDetections` for the arguments and shapes.
    """

    def candidates(self, maps: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return at most one candidate for each box."""
        boxes, scores, classes = [], [], []
        for x in maps:
            cells = _by_box(x[:, : x.shape[2]], len(self.anchors))
            boxes.append(_boxes_of_cells(cells, self.anchors, 1))
            sure = tf.nn.softmax(cells[..., 5 : 5 + self.num_classes])
            scores.append(tf.reshape(tf.sigmoid(cells[..., 4]) * tf.reduce_max(sure, axis=-1), [-1]))
            classes.append(tf.reshape(tf.argmax(sure, axis=-1, output_type=tf.int32), [-1]))
        score = tf.concat(scores, axis=0)
        chosen = tf.where(score >= self.confidence_threshold)[:, 0]
        best = tf.gather(tf.concat(classes, axis=0), chosen)
        return tf.concat(boxes, axis=0), chosen, tf.gather(score, chosen), best

    def count(self, shapes: Sequence[tuple[int | None, ...]]) -> int | None:
        """Return the number of boxes in the square parts of the feature maps."""
        return _count_boxes([(batch, width, width) for batch, _, width, _ in shapes], len(self.anchors))


@keras.saving.register_keras_serializable(package="caffe2tf")
class Yolov3DetectionOutput(_GridDetections):
    """Decodes the feature maps of YOLO v3 into detections.

    The score of each class of a box is the objectness times the score of the class, both after the logistic function.
    See `_GridDetections` for the shapes.

    Args:
        num_classes: int. The number of classes.
        anchors: for each feature map, a sequence of ``(width, height)`` pairs of floats, one for each box of a cell, in
            pixels of the network's input.
        strides: sequence of ints, one for each feature map: the width and the height of a cell in these pixels.
        **kwargs: the other arguments of `_GridDetections`. Here a score must exceed `confidence_threshold`.
    """

    def __init__(
        self,
        num_classes: int,
        anchors: Sequence[Sequence[Sequence[float]]],
        strides: Sequence[int],
        **kwargs: object,
    ) -> None:
        super().__init__(num_classes, anchors, **kwargs)  # type: ignore[arg-type]  # those of _GridDetections
        self.strides = strides

    def candidates(self, maps: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return at most one candidate for each class of each box."""
        boxes, scores = [], []
        for x, anchors, stride in zip(maps, self.anchors, self.strides, strict=True):
            values = 5 + self.num_classes
            cells = _by_box(x[..., : len(anchors) * values], len(anchors))
            boxes.append(_boxes_of_cells(cells, anchors, stride))
            score = tf.sigmoid(cells[..., 5:]) * tf.sigmoid(cells[..., 4:5])
            scores.append(tf.reshape(score, [-1, self.num_classes]))
        box, score = tf.concat(boxes, axis=0), tf.concat(scores, axis=0)
        chosen = tf.where((score > self.confidence_threshold) & self._may_stay(box, score))
        return box, chosen[:, 0], tf.gather_nd(score, chosen), tf.cast(chosen[:, 1], tf.int32)

    def _may_stay(self, box: tf.Tensor, score: tf.Tensor) -> tf.Tensor:
        """Return which candidates can survive: the best class of each box, and the others of boxes with a tiny area.

        A box suppresses its own lesser classes, because it overlaps itself, unless its area is so small that the
        computed overlap with itself falls short of the threshold.
        """
        corners, size = _corners(box), box[:, 2] * box[:, 3]
        shared = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
        alone = shared / (size + size - shared) >= self.nms_threshold
        best = tf.one_hot(tf.argmax(score, axis=1), self.num_classes, on_value=True, off_value=False, dtype=tf.bool)
        return best | ~alone[:, None]

    def count(self, shapes: Sequence[tuple[int | None, ...]]) -> int | None:
        """Return the number of boxes in all cells."""
        return _count_boxes(shapes, len(self.anchors[0]))

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "strides": self.strides}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Region(keras.layers.Layer):
    """Applies the activations of YOLO v2's output.

    Each box of a cell has coordinates, an objectness and class scores, in this order. The logistic function is applied
    to the first two coordinates and to the objectness, softmax to the class scores. The other coordinates stay as they
    are.

    Args:
        boxes: int. The number of boxes of a cell.
        classes: int. The number of classes.
        coords: int. The number of coordinates of a box. Defaults to 4.
        softmax: bool. Whether to apply softmax to the class scores. If false, the logistic function is applied.
            Defaults to True.

    Input shape:
        ``(N, H, W, boxes * (coords + 1 + classes))``.

    Output shape:
        The input shape.
    """

    def __init__(self, boxes: int, classes: int, *, coords: int = 4, softmax: bool = True, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.boxes = boxes
        self.classes = classes
        self.coords = coords
        self.softmax = softmax

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Apply the activations."""
        shape = tf.shape(x)
        sizes = [2, self.coords - 2, 1, self.classes]
        cells = tf.reshape(x, tf.concat([shape[:-1], [self.boxes, sum(sizes)]], axis=0))
        center, rest, sure, classes = tf.split(cells, sizes, axis=-1)
        chances = tf.nn.softmax(classes) if self.softmax else tf.sigmoid(classes)
        return tf.reshape(tf.concat([tf.sigmoid(center), rest, tf.sigmoid(sure), chances], axis=-1), shape)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {"boxes": self.boxes, "classes": self.classes, "coords": self.coords, "softmax": self.softmax}
        return {**super().get_config(), **own}


def _by_box(x: tf.Tensor, boxes: int) -> tf.Tensor:
    """Reshape (N, H, W, channels) to (N, H, W, boxes, values)."""
    shape = tf.shape(x)
    return tf.reshape(x, [shape[0], shape[1], shape[2], boxes, x.shape[-1] // boxes])


def _boxes_of_cells(cells: tf.Tensor, anchors: Sequence[Sequence[float]], stride: int) -> tf.Tensor:
    """Return the boxes (n, 4) of all cells: centre, width and height, relative to the feature map."""
    shape = tf.shape(cells)
    down, across = tf.range(shape[1]), tf.range(shape[2])
    place = tf.cast(tf.stack(tf.meshgrid(across, down), axis=-1), cells.dtype)[:, :, None]
    side = tf.cast(tf.stack([shape[2], shape[1]]), cells.dtype)
    center = (place + tf.sigmoid(cells[..., :2])) / side
    size = tf.exp(cells[..., 2:4]) * tf.constant(anchors, cells.dtype) / (side * stride)
    return tf.reshape(tf.concat([center, size], axis=-1), [-1, 4])


def _corners(boxes: tf.Tensor) -> tf.Tensor:
    """Return left, top, right and bottom of boxes (n, 4) given by centre, width and height."""
    return tf.concat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)


def _best_of_all(boxes: tf.Tensor, scores: tf.Tensor, classes: tf.Tensor, threshold: float) -> tf.Tensor:
    """Return the detections (n, 7) that suppression leaves of boxes (m, 4), by descending score, in a stable order."""
    scores, order = tf.math.top_k(scores, tf.size(scores))
    boxes, classes = tf.gather(boxes, order), tf.cast(tf.gather(classes, order), scores.dtype)
    corners, sizes = _corners(boxes), boxes[:, 2] * boxes[:, 3]
    every = tf.ones([1, tf.size(scores)], tf.bool)
    limit, factor = tf.constant(threshold, scores.dtype), tf.constant(1, scores.dtype)
    kept = keep_best_boxes(corners[None], sizes[None], every, limit, factor, inclusive=True)[0]
    head = tf.stack([tf.zeros_like(scores), classes + 1, scores], axis=1)
    return tf.boolean_mask(tf.concat([head, corners], axis=1), kept)


def _filled(rows: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Return the first ``count`` rows of (n, 7), padded with rows of -1 if there are fewer: (1, 1, count, 7)."""
    rows = rows[:count]
    return tf.pad(rows, [[0, count - tf.shape(rows)[0]], [0, 0]], constant_values=-1)[None, None]


def _one_or_more(inputs: tf.Tensor | Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
    return inputs if isinstance(inputs, list | tuple) else [inputs]


def _one_or_more_shapes(
    shapes: tuple[int | None, ...] | Sequence[tuple[int | None, ...]],
) -> Sequence[tuple[int | None, ...]]:
    return [s for s in shapes if isinstance(s, list | tuple)] or [
        tuple(d for d in shapes if not isinstance(d, list | tuple))
    ]


def _count_boxes(shapes: Sequence[tuple[int | None, ...]], boxes: int) -> int | None:
    """Return the number of boxes in feature maps of these shapes; None if an extent is None."""
    if any(d is None for shape in shapes for d in shape[:3]):
        return None
    return boxes * sum(math.prod(d or 0 for d in shape[:3]) for shape in shapes)
