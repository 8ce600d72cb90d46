"""YoloDetectionOutput, Yolov3DetectionOutput and Region: the last layers of YOLO networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self, TypeAlias

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
    from caffe2tf.proto.caffe_pb2 import (
        DetectionOutputParameter,
        YoloDetectionOutputParameter,
        Yolov3DetectionOutputParameter,
    )

    AnyParameter: TypeAlias = DetectionOutputParameter | YoloDetectionOutputParameter | Yolov3DetectionOutputParameter

__all__ = ["Region", "YoloDetectionOutput", "Yolov3DetectionOutput"]

Anchors = tuple[tuple[float, float], ...]


class _Detections(Layer):
    """Base class of layers that detect boxes in feature maps, in one list for the whole batch."""

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)

    __slots__ = ()

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Gather the rows of a batch of any size in one list."""
        del inputs, outputs
        return Batch.ABSENT if all(batched) else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC, in which the values of a cell are adjacent."""
        last = tuple(Layout.channels_last(v.rank) for v in inputs)
        return Arrangement(inputs=last, outputs=(Layout.plain(4),))


@register("YoloDetectionOutput")
@dataclass(frozen=True, slots=True, kw_only=True)
class YoloDetectionOutput(_Detections):
    """Decodes YOLO v2 predictions into detections.

    Each cell of a feature map predicts `num_box` boxes of C / num_box values: x, y, w, h, objectness, and the scores of
    the classes. For the cell in column i and row j:

    1. The center of a box is ``((i + sigmoid(x)) / W, (j + sigmoid(y)) / W)``, and its size is ``(exp(w) * bias_w / W,
       exp(h) * bias_h / W)``.
    2. Its class is the one of the highest score. The score of the box is ``sigmoid(objectness) *
       max(softmax(classes))``.
    3. The boxes of both maps whose scores are at least `confidence_threshold` are sorted, best first. A box is removed
       if its overlap (intersection over union) with a better box that is kept is at least `nms_threshold`, whatever its
       class.

    A row of the top is 0, class + 1, score, left, top, right and bottom. As in Caffe, boxes of different images of a
    batch suppress each other, and the first value is 0 for all of them; run one image at a time. If nothing is found,
    there is one row for each image: its number, then -1. With a fixed number of rows, there is one for each predicted
    box, and unused ones hold -1.

    | parameter (``yolo_detection_output_param``) | default | meaning |
    |---|---|---|
    | num_classes | required | number of classes |
    | num_box | 5 | number of boxes of a cell |
    | biases | required | width and height of each box, in cells |
    | confidence_threshold | 0.01 | smallest score of a detection |
    | nms_threshold | 0.45 | overlap with a better box from which on a box is removed |
    | side, coords, label_map_file | | ignored; they do not change the top in Caffe, either |

    Early forks name this layer DetectionOutput, with the parameters in ``detection_output_param``. A DetectionOutput
    with one bottom is read as this layer.

    Bottoms: one or two feature maps (N, C, H, W); as in Caffe, further ones are ignored. Only the square of the first W
    rows is read, and H must not be less than W. Tops: (1, 1, R, 7), where the number R of rows is known only at run
    time. Trained blobs: none.

    Deviations: boxes of equal score are in the order of the cells; Caffe's sorting algorithm may change it.

    Source: ``src/caffe/layers/yolo_detection_output_layer.cpp`` of github.com/eric612/MobileNet-YOLO.
    """

    num_classes: int
    anchors: Anchors
    threshold: float = 0.01
    nms_threshold: float = 0.45
    renamed: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``yolo_detection_output_param``, or ``detection_output_param`` of early forks."""
        renamed = proto.type == "DetectionOutput"
        block = "detection_output_param" if renamed else "yolo_detection_output_param"
        p = proto.message.detection_output_param if renamed else proto.message.yolo_detection_output_param
        _check_counts(block, p)
        anchors = _anchors(block, p.biases)
        if len(anchors) < p.num_box:
            raise LayerError(
                f"{block}.biases must hold a width and a height for each of num_box ({p.num_box}) boxes, "
                f"{2 * p.num_box} numbers, not {len(p.biases)}"
            )
        return cls(
            num_classes=p.num_classes,
            anchors=anchors[: p.num_box],
            threshold=p.confidence_threshold if p.HasField("confidence_threshold") else 0.01,
            nms_threshold=p.nms_threshold if p.HasField("nms_threshold") else 0.45,
            renamed=renamed,
        )

    def remarks(self) -> tuple[str, ...]:
        """Say that a DetectionOutput is read as this layer."""
        return ("a DetectionOutput with one bottom is read as the layer of early YOLO forks",) if self.renamed else ()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return (1, 1, None, 7) after checking the feature maps."""
        for shape in inputs[:2]:
            _check_map(shape)
            _, channels, height, width = shape
            if width is None:
                raise LayerError("the width of the feature maps must be known before the network runs")
            if height is not None and height < width:
                raise LayerError(
                    f"feature maps must be square, as Caffe uses their width as their height, not {height}x{width}"
                )
            boxes, values = len(self.anchors), 5 + self.num_classes
            if channels is not None and (channels % boxes or channels < boxes * values):
                raise LayerError(
                    f"num_box {boxes} and num_classes {self.num_classes} require {boxes} x {values} channels (x, y, w, "
                    f"h, objectness and the classes of each box); the feature map has {channels}"
                )
        return ((1, 1, None, 7),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no decoder of YOLO's boxes."""
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
    """Decodes YOLO v3 predictions into detections.

    Each cell of a feature map predicts `num_box` boxes of 5 + num_classes values: x, y, w, h, objectness, and the
    scores of the classes. For the cell in column i and row j:

    1. The center of a box is ``((i + sigmoid(x)) / W, (j + sigmoid(y)) / H)``, and its size is ``(exp(w) * bias_w /
       (W * scale), exp(h) * bias_h / (H * scale))``.
    2. For each class, the score of the box is ``sigmoid(objectness) * sigmoid(class)``.
    3. The boxes of all maps and classes whose scores are greater than `confidence_threshold` are sorted, best first. A
       box is removed if its overlap (intersection over union) with a better box that is kept is at least
       `nms_threshold`, whatever its class.

    The rows of the top are those of YoloDetectionOutput. Here, too, boxes of different images of a batch suppress each
    other; run one image at a time.

    | parameter (``yolov3_detection_output_param``) | default | meaning |
    |---|---|---|
    | num_classes | required | number of classes |
    | num_box | 3 | number of boxes of a cell |
    | biases | required | widths and heights of anchors, in pixels of the network's input |
    | mask | required | indices of the anchors of the boxes, in equal parts for each bottom |
    | mask_group_num | 2 | number of parts of `mask`; must be the number of bottoms |
    | anchors_scale | required | for each bottom, width and height of a cell in pixels of the network's input |
    | confidence_threshold | 0.01 | scores must be greater than this |
    | nms_threshold | 0.45 | overlap with a better box from which on a box is removed |
    | gaussian_box | false | not supported, as the fork's code for CPU and for GPU disagree |

    Bottoms: feature maps (N, C, H, W), usually the coarsest first. Tops: (1, 1, R, 7), where the number R of rows is
    known only at run time. Trained blobs: none.

    Source: ``src/caffe/layers/yolov3_detection_output_layer.cpp`` of github.com/eric612/MobileNet-YOLO.
    """

    num_classes: int
    anchors: tuple[Anchors, ...]
    strides: tuple[int, ...]
    threshold: float = 0.01
    nms_threshold: float = 0.45

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``yolov3_detection_output_param``."""
        p = proto.message.yolov3_detection_output_param
        bottoms = len(proto.bottoms)
        _check_counts("yolov3_detection_output_param", p)
        if p.gaussian_box:
            raise LayerUnsupportedError(
                "gaussian_box is not supported, as the fork computes different boxes on a CPU and on a GPU; end the "
                "network before this layer, and decode the boxes in Python"
            )
        if p.mask_group_num != bottoms:
            raise LayerError(
                f"yolov3_detection_output_param.mask_group_num ({p.mask_group_num}) must be the number of bottoms, "
                f"{bottoms}"
            )
        if len(p.anchors_scale) < bottoms or 0 in p.anchors_scale[:bottoms]:
            raise LayerError(
                "yolov3_detection_output_param.anchors_scale must be 1 or more for each of the "
                f"{bottoms} bottoms, not {list(p.anchors_scale)}"
            )
        return cls(
            num_classes=p.num_classes,
            anchors=_masked(_anchors("yolov3_detection_output_param", p.biases), p.mask, bottoms, p.num_box),
            strides=tuple(p.anchors_scale[:bottoms]),
            threshold=p.confidence_threshold,
            nms_threshold=p.nms_threshold,
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return (1, 1, None, 7) after checking the feature maps."""
        boxes, values = len(self.anchors[0]), 5 + self.num_classes
        for shape in inputs:
            _check_map(shape)
            if shape[1] is not None and shape[1] < boxes * values:
                raise LayerError(
                    f"num_box {boxes} and num_classes {self.num_classes} require {boxes} x {values} channels (x, y, w, "
                    f"h, objectness and the classes of each box); a feature map has {shape[1]}"
                )
        return ((1, 1, None, 7),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no decoder of YOLO's boxes."""
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
    """Applies the activations of YOLO v2 predictions, which are decoded outside the network.

    Each cell predicts boxes of coords + 1 + classes values: coordinates, objectness, and the scores of the classes.

    - ``y = sigmoid(x)`` for the first two coordinates and for objectness.
    - ``y = softmax(x)`` over the classes of each box; ``y = sigmoid(x)`` if `do_softmax` is false.
    - ``y = x`` for all other coordinates.

    This is the layer of OpenVINO's training toolbox for Caffe, and darknet's region layer with softmax. Other forks
    have other layers of this name. A definition with their parameters is refused.

    | parameter (``region_param``) | default | meaning |
    |---|---|---|
    | classes, or num_classes | 20 | number of classes |
    | coords | 4 | number of coordinates of a box |
    | num | 1 | number of boxes of a cell, if `do_softmax` is true |
    | do_softmax | true | use softmax for the classes, or sigmoid as in OpenVINO's RegionYolo |
    | mask | none | indices of anchors; if `do_softmax` is false, their count is the number of boxes of a cell |
    | anchors | none | ignored, as boxes are decoded outside the network |

    Bottoms: one, (N, boxes * (coords + 1 + classes), H, W). Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/region_layer.cpp`` of github.com/openvinotoolkit/training_toolbox_caffe.
    """

    boxes: int
    classes: int = 20
    coords: int = 4
    softmax: bool = True

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``region_param``."""
        p = proto.message.region_param
        given = {getattr(p, name) for name in ("classes", "num_classes") if p.HasField(name)} or {p.classes}
        if len(given) > 1:
            raise LayerError(
                f"region_param.classes ({p.classes}) and num_classes ({p.num_classes}) are two names of one parameter; "
                "give only one"
            )
        if p.coords < 2:
            raise LayerError(f"region_param.coords must be 2 or more, including x and y, not {p.coords}")
        if not p.do_softmax and not p.mask:
            raise LayerError("region_param.mask is required if do_softmax is false: it gives the number of boxes")
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
                f"{self.boxes} boxes of a cell require {self.boxes} x {values} channels ({self.coords} coordinates, "
                f"objectness, {self.classes} classes); the bottom has {shape[1]}"
            )
        return (shape,)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC, in which the values of a cell are adjacent."""
        last = (Layout.channels_last(4),)
        return Arrangement(inputs=last, outputs=last)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no activation of parts of the channels."""
        made = runtime(
            "Region", self.boxes, self.classes, coords=unless(self.coords, 4), softmax=OMIT if self.softmax else False
        )
        return made(inputs[0])


def _check_counts(block: str, p: AnyParameter) -> None:
    if not p.HasField("num_classes"):
        raise LayerError(f"{block}.num_classes is required")
    for name, number in (("num_classes", p.num_classes), ("num_box", p.num_box)):
        if number < 1:
            raise LayerError(f"{block}.{name} must be 1 or more, not {number}")


def _anchors(block: str, biases: Sequence[float]) -> Anchors:
    if len(biases) % 2:
        raise LayerError(f"{block}.biases must hold a width and a height for each box, not {len(biases)} numbers")
    check_finite(f"{block}.biases", biases)
    numbers = [short(b) for b in biases]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _masked(anchors: Anchors, mask: Sequence[int], bottoms: int, boxes: int) -> tuple[Anchors, ...]:
    """Return the anchors of the boxes for each bottom, each of which has an equal part of ``mask``."""
    part = len(mask) // bottoms
    if (bottoms - 1) * part + boxes > len(mask):
        raise LayerError(
            f"yolov3_detection_output_param.mask must hold num_box ({boxes}) indices for each of the {bottoms} "
            f"bottoms, not {len(mask)} in total"
        )
    chosen = [mask[t * part : t * part + boxes] for t in range(bottoms)]
    highest = max(m for group in chosen for m in group)
    if highest >= len(anchors):
        raise LayerError(
            f"yolov3_detection_output_param.mask holds the index {highest}, but biases give only {len(anchors)} "
            "(width, height) pairs"
        )
    return tuple(tuple(anchors[m] for m in group) for group in chosen)


def _check_map(shape: Shape) -> None:
    if len(shape) != 4:
        raise LayerError(f"a feature map must have 4 axes (N, C, H, W), not {format_shape(shape)}")
