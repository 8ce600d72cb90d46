"""Losses and metrics of forks, which are left out of every converted network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.shape import Shape
from caffe2tf.layers.loss.loss_base import Loss
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["AnchorTarget", "BoxAnnotator", "DetectionEvaluate", "ForkLoss", "MultiBoxLoss"]


@register(
    "Yolov3",
    "GaussianYolov3",
    "YoloSeg",
    "RegionLoss",
    "EvalDetection",
    "SegmentationEvaluate",
    "SegAccuracy",
    "ConfusionMatrix",
)
@dataclass(frozen=True, slots=True, kw_only=True)
class ForkLoss(Loss):
    """A loss or a metric of a fork. It is always left out, with a note, as it serves training or testing.

    The same holds for a layer of any unknown type whose name ends in ``Loss``.

    Parameters: ignored.

    Bottoms: one or more. Tops: any number, all taken for scalars. Trained blobs: none.

    Source: forks for YOLO (github.com/eric612/MobileNet-YOLO) and for segmentation; BVLC has no such layers.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)
    tops: ClassVar[tuple[int, int | None]] = (0, None)
    computable: ClassVar[bool] = False

    type: str
    count: int = 1  # of tops

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read the type and the number of tops; ignore the parameters."""
        return cls(type=proto.type, count=max(1, len(proto.tops)))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return a scalar for each top."""
        del inputs
        return ((),) * self.count

    def type_name(self) -> str:
        """Return the type in the definition."""
        return self.type


@register("AccuracyRegression", "LabelsequenceAccuracy", "CTCGreedyDecoder", "TripletAccuracy")
@dataclass(frozen=True, slots=True, kw_only=True)
class OtherMetric(ForkLoss):
    """A metric of a fork. It is always left out, with a note.

    Parameters: ignored.

    Bottoms: one or more. Tops: any number, all taken for scalars. Trained blobs: none.

    Source: forks for regression and for text recognition; BVLC has no such layers.
    """


@register("MultiBoxLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class MultiBoxLoss(ForkLoss):
    """SSD's loss of box offsets and scores. It is always left out, with a note.

    For detections, replace it by a DetectionOutput layer, as SSD's own deploy definitions do.

    Parameters: ignored.

    Bottoms: offsets, scores, prior boxes and true boxes. Tops: any number, all taken for scalars. Trained blobs: none.

    Source: ``src/caffe/layers/multibox_loss_layer.cpp`` of github.com/weiliu89/caffe.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (4, 4)
    first_target: ClassVar[int] = 3


@register("DetectionEvaluate")
@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionEvaluate(ForkLoss):
    """SSD's comparison of detections with true boxes. It is always left out, with a note.

    Parameters: ignored.

    Bottoms: detections and true boxes. Tops: (1, 1, R, 5); the number R of rows is known only at run time. Trained
    blobs: none.

    Source: ``src/caffe/layers/detection_evaluate_layer.cpp`` of SSD's forks, such as
    github.com/openvinotoolkit/training_toolbox_caffe.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return (1, 1, R, 5): a row for each class and each detection."""
        del inputs
        return ((1, 1, None, 5),) * self.count


@register("BoxAnnotatorOHEM")
@dataclass(frozen=True, slots=True, kw_only=True)
class BoxAnnotator(ForkLoss):
    """R-FCN's choice of hard examples for its losses. It is always left out, with a note.

    Parameters: ignored.

    Bottoms: boxes (R, 5), the loss of each box, labels, and weights of the box losses. Tops: labels and weights of the
    shapes of the last two bottoms. Trained blobs: none.

    Source: ``src/caffe/layers/box_annotator_ohem_layer.cpp`` of github.com/daijifeng001/caffe-rfcn.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (4, 4)
    tops: ClassVar[tuple[int, int | None]] = (2, 2)
    first_target: ClassVar[int] = 0

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the labels and of the weights."""
        return inputs[2], inputs[3]


@register("Python:rpn.anchor_target_layer.AnchorTargetLayer")
@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorTarget(ForkLoss):
    """Faster R-CNN's labels and box targets for its anchors. It is always left out, with a note.

    Parameters: ignored.

    Bottoms: scores (1, 2A, H, W) of A anchors, true boxes, size and scale of the image, and the image. Tops: labels
    (1, 1, A * H, W), box targets (1, 4A, H, W), and their weights inside and outside the loss, of the same shape.
    Trained blobs: none.

    Source: ``lib/rpn/anchor_target_layer.py`` of github.com/rbgirshick/py-faster-rcnn.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (4, 4)
    tops: ClassVar[tuple[int, int | None]] = (4, 4)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the labels, the targets and their two weights."""
        if len(inputs[0]) != 4:
            raise LayerError(f"the scores must have 4 axes, not {len(inputs[0])}")
        _, channels, height, width = inputs[0]
        anchors = None if channels is None else channels // 2
        rows = None if anchors is None or height is None else anchors * height
        targets = (1, None if anchors is None else 4 * anchors, height, width)
        return (1, 1, rows, width), targets, targets, targets
