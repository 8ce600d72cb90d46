"""Detections of YOLO: boxes from offsets to anchors in a grid, and the best of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from caffe2tf.runtime.detection.suppression import keep_best_boxes, rows_or_none

__all__ = ["Region", "YoloDetectionOutput", "Yolov3DetectionOutput"]


class _GridDetections(keras.layers.Layer):
    """Of feature maps, one or several, channels last, the detections: (1, 1, n, 7).

    A row is 0, class + 1, score, left, top, right, bottom, in falling scores. Boxes of all maps, images and classes
    suppress each other. Where there are none, there is one row for each image: its number, then -1.

    Args:
        num_classes: how many classes are scored.
        anchors: width and height of each box of a cell.
        confidence_threshold: of which a score must not fall short.
        nms_threshold: overlap with a better box from which on a box is removed.
        fixed_rows: whether there are as many rows as boxes, of which unused ones hold -1.
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
        self.num_classes = num_classes
        self.anchors = anchors
        self.confidence_threshold = confidence_threshold
        self.nms_threshold = nms_threshold
        self.fixed_rows = fixed_rows
        self.supports_jit = False  # XLA has no tensors whose extents depend on values

    def call(self, inputs: tf.Tensor | Sequence[tf.Tensor]) -> tf.Tensor:
        """Maps (batch, height, width, boxes * values)."""
        maps = _one_or_more(inputs)
        boxes, chosen, scores, classes = self.candidates(maps)
        rows = _best_of_all(tf.gather(boxes, chosen), scores, classes, self.nms_threshold)
        return _filled(rows, tf.shape(boxes)[0]) if self.fixed_rows else rows_or_none(rows, tf.shape(maps[0])[0])

    def candidates(self, maps: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """All boxes (n, 4); for each score that is high enough, the number of its box, itself, and its class."""
        raise NotImplementedError

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...] | Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        """A known number of rows only where it is fixed, and so are all extents."""
        return (1, 1, self.count(_one_or_more_shapes(input_shape)) if self.fixed_rows else None, 7)

    def count(self, shapes: Sequence[tuple[int | None, ...]]) -> int | None:
        """How many boxes there are in maps of these shapes; None where an extent is None."""
        raise NotImplementedError

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        names = "num_classes anchors confidence_threshold nms_threshold fixed_rows"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


@keras.saving.register_keras_serializable(package="caffe2tf")
class YoloDetectionOutput(_GridDetections):
    """Detections of YOLO v2: of each box the best class alone; of a map higher than wide, Caffe reads a square.

    Anchors are in cells. For inputs, output and arguments see `_GridDetections`.
    """

    def candidates(self, maps: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """One for each box at most."""
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
        """Those of squares."""
        return _count_boxes([(batch, width, width) for batch, _, width, _ in shapes], len(self.anchors))


@keras.saving.register_keras_serializable(package="caffe2tf")
class Yolov3DetectionOutput(_GridDetections):
    """Detections of YOLO v3, whose classes are scored each on its own; for inputs and output see `_GridDetections`.

    Args:
        num_classes: how many classes are scored.
        anchors: for each map, width and height of each box of a cell, in pixels of the network's input.
        strides: for each map, how many of those pixels a cell is wide and high.
        **kwargs: see `_GridDetections`; a score must be above `confidence_threshold`, not equal to it.
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
        """One for each class of a box at most."""
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
        """Not a box's lesser classes: it suppresses itself, unless it is too small to overlap with itself."""
        corners, size = _corners(box), box[:, 2] * box[:, 3]
        shared = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
        alone = shared / (size + size - shared) >= self.nms_threshold
        best = tf.one_hot(tf.argmax(score, axis=1), self.num_classes, on_value=True, off_value=False, dtype=tf.bool)
        return best | ~alone[:, None]

    def count(self, shapes: Sequence[tuple[int | None, ...]]) -> int | None:
        """Those of all cells."""
        return _count_boxes(shapes, len(self.anchors[0]))

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "strides": self.strides}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Region(keras.layers.Layer):
    """YOLO v2's activations, channels last: each box of a cell has its coordinates, then objectness, then classes.

    The first two coordinates and objectness go through the logistic function, and classes through softmax.

    Args:
        boxes: how many a cell has.
        classes: how many are scored.
        coords: how many coordinates a box has.
        softmax: whether classes compete; if not, each goes through the logistic function.
    """

    def __init__(self, boxes: int, classes: int, *, coords: int = 4, softmax: bool = True, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.boxes = boxes
        self.classes = classes
        self.coords = coords
        self.softmax = softmax

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(batch, height, width, boxes * (coords + 1 + classes))."""
        shape = tf.shape(x)
        sizes = [2, self.coords - 2, 1, self.classes]
        cells = tf.reshape(x, tf.concat([shape[:-1], [self.boxes, sum(sizes)]], axis=0))
        center, rest, sure, classes = tf.split(cells, sizes, axis=-1)
        chances = tf.nn.softmax(classes) if self.softmax else tf.sigmoid(classes)
        return tf.reshape(tf.concat([tf.sigmoid(center), rest, tf.sigmoid(sure), chances], axis=-1), shape)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the input."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        own = {"boxes": self.boxes, "classes": self.classes, "coords": self.coords, "softmax": self.softmax}
        return {**super().get_config(), **own}


def _by_box(x: tf.Tensor, boxes: int) -> tf.Tensor:
    """(batch, height, width, channels) as (batch, height, width, boxes, values)."""
    shape = tf.shape(x)
    return tf.reshape(x, [shape[0], shape[1], shape[2], boxes, x.shape[-1] // boxes])


def _boxes_of_cells(cells: tf.Tensor, anchors: Sequence[Sequence[float]], stride: int) -> tf.Tensor:
    """Boxes (n, 4) of all cells: centre, width, height, in units of the map."""
    shape = tf.shape(cells)
    down, across = tf.range(shape[1]), tf.range(shape[2])
    place = tf.cast(tf.stack(tf.meshgrid(across, down), axis=-1), cells.dtype)[:, :, None]
    side = tf.cast(tf.stack([shape[2], shape[1]]), cells.dtype)
    center = (place + tf.sigmoid(cells[..., :2])) / side
    size = tf.exp(cells[..., 2:4]) * tf.constant(anchors, cells.dtype) / (side * stride)
    return tf.reshape(tf.concat([center, size], axis=-1), [-1, 4])


def _corners(boxes: tf.Tensor) -> tf.Tensor:
    """Left, top, right, bottom of boxes (n, 4) that are centre, width, height."""
    return tf.concat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)


def _best_of_all(boxes: tf.Tensor, scores: tf.Tensor, classes: tf.Tensor, threshold: float) -> tf.Tensor:
    """Rows (n, 7) of what stays of boxes (m, 4), in falling scores; of equal ones the first comes first."""
    scores, order = tf.math.top_k(scores, tf.size(scores))
    boxes, classes = tf.gather(boxes, order), tf.cast(tf.gather(classes, order), scores.dtype)
    corners, sizes = _corners(boxes), boxes[:, 2] * boxes[:, 3]
    every = tf.ones([1, tf.size(scores)], tf.bool)
    limit, factor = tf.constant(threshold, scores.dtype), tf.constant(1, scores.dtype)
    kept = keep_best_boxes(corners[None], sizes[None], every, limit, factor, inclusive=True)[0]
    head = tf.stack([tf.zeros_like(scores), classes + 1, scores], axis=1)
    return tf.boolean_mask(tf.concat([head, corners], axis=1), kept)


def _filled(rows: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """The best ``count`` of rows (n, 7), and rows of -1 where there are fewer: (1, 1, count, 7)."""
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
    """How many boxes there are in maps of these shapes."""
    if any(d is None for shape in shapes for d in shape[:3]):
        return None
    return boxes * sum(math.prod(d or 0 for d in shape[:3]) for shape in shapes)
