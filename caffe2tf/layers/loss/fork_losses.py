"""Losses and metrics of forks: left out of every network, since none is needed to use one."""

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
    """A loss or a metric of a fork. It is always left out, with a note: it serves training or testing.

    So is a layer of any other type whose name ends in ``Loss``.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)
    tops: ClassVar[tuple[int, int | None]] = (0, None)
    computable: ClassVar[bool] = False

    type: str
    count: int = 1

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Nothing of its parameters."""
        return cls(type=proto.type, count=max(1, len(proto.tops)))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Scalars."""
        del inputs
        return ((),) * self.count

    def type_name(self) -> str:
        """The type that the definition states."""
        return self.type


@register("AccuracyRegression", "LabelsequenceAccuracy", "CTCGreedyDecoder", "TripletAccuracy")
@dataclass(frozen=True, slots=True, kw_only=True)
class OtherMetric(ForkLoss):
    """A metric of a fork. It is always left out, with a note."""


@register("MultiBoxLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class MultiBoxLoss(ForkLoss):
    """SSD's loss on box offsets, scores, prior boxes and true boxes. It is always left out, with a note.

    Put a DetectionOutput layer in its place, as SSD's own deploy definitions do, to detect with the network.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (4, 4)
    first_target: ClassVar[int] = 3


@register("DetectionEvaluate")
@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionEvaluate(ForkLoss):
    """SSD's comparison of detections with true boxes. It is always left out, with a note."""

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A row of five values for each box and each class."""
        del inputs
        return ((1, 1, None, 5),) * self.count


@register("BoxAnnotatorOHEM")
@dataclass(frozen=True, slots=True, kw_only=True)
class BoxAnnotator(ForkLoss):
    """R-FCN's choice of hard examples: labels and weights for the losses. It is always left out, with a note."""

    bottoms: ClassVar[tuple[int, int | None]] = (4, 4)
    tops: ClassVar[tuple[int, int | None]] = (2, 2)
    first_target: ClassVar[int] = 0

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Those of the labels and of the weights."""
        return inputs[2], inputs[3]


@register("Python:rpn.anchor_target_layer.AnchorTargetLayer")
@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorTarget(ForkLoss):
    """Faster R-CNN's labels and box targets of its anchors, for the losses. It is always left out, with a note."""

    bottoms: ClassVar[tuple[int, int | None]] = (4, 4)
    tops: ClassVar[tuple[int, int | None]] = (4, 4)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Labels 1 x 1 x AH x W; targets and their two weights 1 x 4A x H x W; A is half the channels of the scores."""
        if len(inputs[0]) != 4:
            raise LayerError(f"the scores must have 4 axes, not {len(inputs[0])}")
        _, channels, height, width = inputs[0]
        anchors = None if channels is None else channels // 2
        rows = None if anchors is None or height is None else anchors * height
        targets = (1, None if anchors is None else 4 * anchors, height, width)
        return (1, 1, rows, width), targets, targets, targets
