"""YoloDetectionOutput, Yolov3DetectionOutput and Region: the heads of YOLO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import OMIT, Expr, runtime, short, unless
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.checks import check_finite
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Region", "YoloDetectionOutput", "Yolov3DetectionOutput"]

Anchors = tuple[tuple[float, float], ...]


class _Detections(Layer):
    """What finds boxes in feature maps, over the whole batch at once."""

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)

    __slots__ = ()

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """The rows of all images are one list, for a batch of any size."""
        del inputs, outputs
        return Batch.ABSENT if all(batched) else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last, so that the values of a cell stand together."""
        last = tuple(Layout.channels_last(v.rank) for v in inputs)
        return Arrangement(inputs=last, outputs=(Layout.plain(4),))


@register("YoloDetectionOutput")
@dataclass(frozen=True, slots=True, kw_only=True)
class YoloDetectionOutput(_Detections):
    """Detections of YOLO v2 (eric612/MobileNet-YOLO), from one or two feature maps (N, C, H, H).

    Each cell has `num_box` boxes of C / num_box values: x, y, w, h, objectness, scores of classes. With the cell at
    (i, j), a box has its centre at ``(i + sigmoid(x)) / H, (j + sigmoid(y)) / H`` and the size ``exp(w) bias / H,
    exp(h) bias / H``; its class is the best one, and its score ``sigmoid(objectness) max(softmax(classes))``.

    The top is (1, 1, n, 7), and n is known only at run time. A row is 0, class + 1, score, left, top, right, bottom, in
    falling scores. As in Caffe, boxes suppress those of all classes, both maps, and all images of the batch, and the
    first value is 0 for every image: give one image at a time. Where nothing is found, there is one row for each image:
    its number, then -1. Where a fixed number of rows is asked for, there are as many as boxes, and unused ones hold -1.

    | parameter | default | meaning |
    |---|---|---|
    | num_classes | required | count of classes |
    | num_box | 5 | boxes of a cell |
    | biases | required | width and height of each box, in cells |
    | confidence_threshold | 0.01 | scores must not be below it |
    | nms_threshold | 0.45 | overlap with a better box from which on a box goes |
    | side, coords, label_map_file | | not used, by Caffe either |

    A DetectionOutput with one bottom is this layer, too: so it was called at first, with its parameters in
    detection_output_param.

    Caffe reads no more than two bottoms, and of a map that is higher than wide the square at its top. Boxes of equal
    score are in Caffe's order of cells, which its own sorting may change.
    """

    num_classes: int
    anchors: Anchors
    threshold: float = 0.01
    nms_threshold: float = 0.45
    renamed: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters; those of the early forks stand in the block of the other layer of that name."""
        renamed = proto.type == "DetectionOutput"
        block = "detection_output_param" if renamed else "yolo_detection_output_param"
        p = proto.message.detection_output_param if renamed else proto.message.yolo_detection_output_param
        if not p.HasField("num_classes") or not p.num_classes:
            raise LayerError(f"{block}.num_classes is required, and must be 1 or more")
        if not p.num_box:
            raise LayerError(f"{block}.num_box must be 1 or more, not 0")
        anchors = _anchors(block, p.biases)
        if len(anchors) < p.num_box:
            raise LayerError(
                f"{block}.biases must hold width and height of num_box ({p.num_box}) boxes, "
                f"{2 * p.num_box} numbers: {len(p.biases)} are given"
            )
        return cls(
            num_classes=p.num_classes,
            anchors=anchors[: p.num_box],
            threshold=p.confidence_threshold if p.HasField("confidence_threshold") else 0.01,
            nms_threshold=p.nms_threshold if p.HasField("nms_threshold") else 0.45,
            renamed=renamed,
        )

    def remarks(self) -> tuple[str, ...]:
        """Whose layer it is, where its type is that of another."""
        return ("with one bottom, this DetectionOutput is read as that of early YOLO forks",) if self.renamed else ()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """(1, 1, n, 7)."""
        for shape in inputs[:2]:
            _check_map(shape)
            _, channels, height, width = shape
            if width is None:
                raise LayerError("the width of the feature maps must be known before the network runs")
            if height is not None and height < width:
                raise LayerError(
                    f"feature maps must be square, as Caffe takes their width for their height: {height}x{width}"
                )
            boxes, values = len(self.anchors), 5 + self.num_classes
            if channels is not None and (channels % boxes or channels < boxes * values):
                raise LayerError(
                    f"num_box {boxes} and num_classes {self.num_classes} need {boxes} x {values} channels (x, y, w, h, "
                    f"objectness and the classes of each box): the feature map has {channels}"
                )
        return ((1, 1, None, 7),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        made = runtime(
            "YoloDetectionOutput",
            self.num_classes,
            self.anchors,
            confidence_threshold=unless(short(self.threshold), 0.01),
            nms_threshold=unless(short(self.nms_threshold), 0.45),
            fixed_rows=ctx.fixed_rows or OMIT,
        )
        return made(*inputs[:2])


@register("Yolov3DetectionOutput")
@dataclass(frozen=True, slots=True, kw_only=True)
class Yolov3DetectionOutput(_Detections):
    """Detections of YOLO v3 (eric612/MobileNet-YOLO), from feature maps (N, C, H, W), the coarsest first as a rule.

    Each cell has `num_box` boxes of 5 + num_classes values: x, y, w, h, objectness, classes. With the cell at (i, j), a
    box has its centre at ``(i + sigmoid(x)) / W, (j + sigmoid(y)) / H`` and the size ``exp(w) bias / (W scale), exp(h)
    bias / (H scale)``, and for each class the score ``sigmoid(objectness) sigmoid(class)``.

    The top is (1, 1, n, 7), with rows as those of YoloDetectionOutput: all classes, maps and images suppress each
    other, and the first value is 0 for every image, so give one image at a time.

    | parameter | default | meaning |
    |---|---|---|
    | num_classes | required | count of classes |
    | num_box | 3 | boxes of a cell |
    | biases | required | widths and heights, in pixels of the network's input |
    | mask | required | which of them the boxes have, the first map's first |
    | mask_group_num | 2 | in how many equal parts `mask` is; as many as there are bottoms |
    | anchors_scale | required | for each bottom, how many pixels of the network's input a cell is wide and high |
    | confidence_threshold | 0.01 | scores must be above it |
    | nms_threshold | 0.45 | overlap with a better box from which on a box goes |
    | gaussian_box | false | not converted: the fork's own code for CPU and GPU disagrees |
    """

    num_classes: int
    anchors: tuple[Anchors, ...]
    strides: tuple[int, ...]
    threshold: float = 0.01
    nms_threshold: float = 0.45

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.yolov3_detection_output_param
        bottoms = len(proto.bottoms)
        if not p.HasField("num_classes") or not p.num_classes:
            raise LayerError("yolov3_detection_output_param.num_classes is required, and must be 1 or more")
        if not p.num_box:
            raise LayerError("yolov3_detection_output_param.num_box must be 1 or more, not 0")
        if p.gaussian_box:
            raise LayerUnsupportedError(
                "gaussian_box is not converted: what the fork computes with it on a CPU is not what it computes on a "
                "GPU; end the network before this layer, and decode the boxes in Python"
            )
        if p.mask_group_num != bottoms:
            raise LayerError(
                f"yolov3_detection_output_param.mask_group_num ({p.mask_group_num}) must be the number of bottoms, "
                f"{bottoms}"
            )
        if len(p.anchors_scale) < bottoms or 0 in p.anchors_scale[:bottoms]:
            raise LayerError(
                "yolov3_detection_output_param.anchors_scale must be 1 or more for each of the "
                f"{bottoms} bottoms: given are {list(p.anchors_scale)}"
            )
        return cls(
            num_classes=p.num_classes,
            anchors=_masked(_anchors("yolov3_detection_output_param", p.biases), p.mask, bottoms, p.num_box),
            strides=tuple(p.anchors_scale[:bottoms]),
            threshold=p.confidence_threshold,
            nms_threshold=p.nms_threshold,
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """(1, 1, n, 7)."""
        boxes, values = len(self.anchors[0]), 5 + self.num_classes
        for shape in inputs:
            _check_map(shape)
            if shape[1] is not None and shape[1] < boxes * values:
                raise LayerError(
                    f"num_box {boxes} and num_classes {self.num_classes} need {boxes} x {values} channels (x, y, w, h, "
                    f"objectness and the classes of each box): a feature map has {shape[1]}"
                )
        return ((1, 1, None, 7),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        made = runtime(
            "Yolov3DetectionOutput",
            self.num_classes,
            anchors=self.anchors,
            strides=self.strides,
            confidence_threshold=unless(short(self.threshold), 0.01),
            nms_threshold=unless(short(self.nms_threshold), 0.45),
            fixed_rows=ctx.fixed_rows or OMIT,
        )
        return made(*inputs)


@register("Region")
@dataclass(frozen=True, slots=True, kw_only=True)
class Region(Layer):
    """Activations of YOLO v2, for decoding outside of the network; of (N, num x (coords + 1 + classes), H, W) the same.

    The first two coordinates and objectness, the value behind the coordinates, go through the logistic function, and
    the classes of each box through softmax. That is what the layer of OpenVINO's training toolbox for Caffe computes,
    and darknet's region layer with softmax. Other forks have other layers of this name: where their parameters differ,
    the definition is refused.

    | parameter | default | meaning |
    |---|---|---|
    | classes, or num_classes | 20 | count of classes |
    | coords | 4 | coordinates of a box |
    | num | 1 | boxes of a cell |
    | do_softmax | true | whether classes compete; as in OpenVINO's RegionYolo, if not, each goes through the logistic function, and a cell has as many boxes as `mask` has numbers |
    | mask | none | which anchors the boxes have; counted where do_softmax is false |
    | anchors | none | not used: boxes are decoded outside |
    """  # noqa: E501 - a row of a table

    boxes: int
    classes: int = 20
    coords: int = 4
    softmax: bool = True

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.region_param
        given = {getattr(p, name) for name in ("classes", "num_classes") if p.HasField(name)} or {p.classes}
        if len(given) > 1:
            raise LayerError(
                f"region_param.classes ({p.classes}) and num_classes ({p.num_classes}) are two names of one parameter; "
                "give one"
            )
        if p.coords < 2:
            raise LayerError(f"region_param.coords must be 2 or more, x and y among them, not {p.coords}")
        if not p.do_softmax and not p.mask:
            raise LayerError("region_param.mask is required without do_softmax: it says how many boxes a cell has")
        boxes = p.num if p.do_softmax else len(p.mask)
        (classes,) = given
        for name, value in (("num", boxes), ("classes", classes)):
            if value < 1:
                raise LayerError(f"region_param.{name} must be 1 or more, not {value}")
        return cls(boxes=boxes, classes=classes, coords=p.coords, softmax=p.do_softmax)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of the bottom."""
        (shape,) = inputs
        _check_map(shape)
        values = self.coords + 1 + self.classes
        if shape[1] is not None and shape[1] != self.boxes * values:
            raise LayerError(
                f"{self.boxes} boxes of a cell need {self.boxes} x {values} channels ({self.coords} coordinates, "
                f"objectness, {self.classes} classes): the bottom has {shape[1]}"
            )
        return (shape,)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last, so that the values of a cell stand together."""
        last = (Layout.channels_last(4),)
        return Arrangement(inputs=last, outputs=last)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        made = runtime(
            "Region", self.boxes, self.classes, coords=unless(self.coords, 4), softmax=OMIT if self.softmax else False
        )
        return made(inputs[0])


def _anchors(message: str, biases: Sequence[float]) -> Anchors:
    if len(biases) % 2:
        raise LayerError(
            f"{message}.biases must hold a width and a height for each box: {len(biases)} numbers are given"
        )
    check_finite(f"{message}.biases", biases)
    numbers = [short(b) for b in biases]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _masked(anchors: Anchors, mask: Sequence[int], bottoms: int, boxes: int) -> tuple[Anchors, ...]:
    """For each bottom, the anchors of its boxes: Caffe steps through ``mask`` by an equal part of it."""
    part = len(mask) // bottoms
    if (bottoms - 1) * part + boxes > len(mask):
        raise LayerError(
            f"yolov3_detection_output_param.mask must name num_box ({boxes}) anchors for each of the {bottoms} "
            f"bottoms: {len(mask)} are given"
        )
    chosen = [mask[t * part : t * part + boxes] for t in range(bottoms)]
    highest = max(m for group in chosen for m in group)
    if highest >= len(anchors):
        raise LayerError(
            f"yolov3_detection_output_param.mask names anchor {highest}, counted from 0, but biases give "
            f"{len(anchors)} (width, height) pairs"
        )
    return tuple(tuple(anchors[m] for m in group) for group in chosen)


def _check_map(shape: Shape) -> None:
    if len(shape) != 4:
        raise LayerError(f"a feature map must have 4 axes (images, channels, height, width), not {format_shape(shape)}")
