"""Proposal: the boxes that a region proposal network finds, of PVANet's Caffe and of py-faster-rcnn's Python layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, runtime, short, unless
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, count, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.checks import check_positive
from caffe2tf.layers.loss.loss_base import layout_in_order
from caffe2tf.layers.param_str import read_param_str
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Proposal", "PythonProposal"]

_RATIOS, _SCALES = (0.5, 1.0, 2.0), (8.0, 16.0, 32.0)


@register("Proposal")
@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal(Layer):
    """The best boxes of a region proposal network that overlap little, best first: 0, left, top, right, bottom.

    Bottoms: scores (1, 2A, H, W), of which the second half of the channels tells how surely each anchor holds an
    object; offsets (1, 4A, H, W), four for each anchor; and the image's height, width and scale, or its scales along
    height and width. A is the number of anchors: one for each ratio and each scale. An optional second top holds the
    scores of the boxes (R). How many boxes there are (R) is known only when the network runs.

    Each anchor is moved and stretched by its offsets and clipped to the image. A box less than ``min_size * scale``
    wide or high has the score 0. Of the `pre_nms_topn` best boxes, each that overlaps a better one by more than
    `nms_thresh` (intersection over union) is left out; the first `post_nms_topn` of the others are given.

    | parameter | default | meaning |
    |---|---|---|
    | ratio | none | heights of the anchors divided by their widths; repeated |
    | scale | none | extents of the anchors, in units of base_size; repeated |
    | feat_stride | 16 | distance of the features' places in the image |
    | base_size | 16 | extent of an anchor of ratio 1 and scale 1 |
    | min_size | 16 | least extent of a box in the image before it was scaled |
    | pre_nms_topn | 6000 | how many boxes at most are looked at |
    | post_nms_topn | 300 | how many boxes at most are given |
    | nms_thresh | 0.7 | greatest overlap with a better box |

    Where neither ratio nor scale is given, the layer is that of Synopsys' Caffe, which computes what the Python layer
    of py-faster-rcnn does (see there). With a fixed number of rows, there are `post_nms_topn`, those beyond the boxes
    found being 0: a box of one value in image 0, which a later ROIPooling can read. The image has one scale where
    three numbers are given; PVANet's Caffe then reads a fourth from behind the blob.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (3, 3)
    tops: ClassVar[tuple[int, int | None]] = (1, 2)

    ratios: tuple[float, ...]
    scales: tuple[float, ...]
    feat_stride: int
    base_size: int = 16
    min_size: int = 16
    pre_nms_topn: int = 6000
    post_nms_topn: int = 300
    nms_thresh: float = 0.7
    as_python: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.proposal_param
        if bool(p.ratio) != bool(p.scale):
            raise LayerError("proposal_param needs both ratio and scale, of which each pair makes an anchor")
        for field in ("base_size", "pre_nms_topn", "post_nms_topn"):
            if getattr(p, field) < 1:
                raise LayerError(f"proposal_param.{field} must be at least 1")
        return cls(
            ratios=_positive("proposal_param.ratio", [short(r) for r in p.ratio] or _RATIOS),
            scales=_positive("proposal_param.scale", [short(s) for s in p.scale] or _SCALES),
            feat_stride=p.feat_stride,
            base_size=p.base_size,
            min_size=p.min_size,
            pre_nms_topn=p.pre_nms_topn,
            post_nms_topn=p.post_nms_topn,
            nms_thresh=short(p.nms_thresh),
            as_python=not p.ratio,
        )

    def remarks(self) -> tuple[str, ...]:
        """Whose layer it is, where it does not say so."""
        if not self.as_python:
            return ()
        anchors = "anchors of ratios 0.5, 1, 2 and scales 8, 16, 32, boxes that are too small left out"
        return (f"without ratio and scale, Proposal is taken for Synopsys' layer: {anchors}",)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Boxes, and scores; how many is known only at run time."""
        scores, offsets, info = inputs
        anchors = len(self.ratios) * len(self.scales)
        for i, (shape, each) in enumerate(((scores, 2), (offsets, 4))):
            if len(shape) != 4:
                raise LayerError(f"bottom {i} must have the four axes N, C, H, W: it is {format_shape(shape)}")
            if shape[0] not in (1, None):
                raise LayerError(f"only one image at a time is possible: bottom {i} has a batch of {shape[0]}")
            wanted, have = each * anchors, shape[1]
            if have is not None and (have < wanted or (self.as_python and have > wanted)):
                raise LayerError(
                    f"bottom {i} must have {each} channels for each of {anchors} anchors ({len(self.ratios)} ratios, "
                    f"{len(self.scales)} scales), {wanted} in all, not {have}"
                )
        if any(None not in (a, b) and a != b for a, b in zip(scores[2:], offsets[2:], strict=True)):
            raise LayerError(
                "scores and offsets must have the same height and width: "
                f"they are {format_shape(scores)} and {format_shape(offsets)}"
            )
        numbers = count(info)
        if numbers is not None and numbers < 3:
            raise LayerError(f"the third bottom must hold the image's height, width and scale, not {numbers} values")
        return (None, 5), (None, 1) if self.as_python else (None,)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """There is one image, and its boxes are no batch."""
        del batched, inputs, outputs
        return Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last."""
        features = Layout.channels_last(4)
        return Arrangement(
            inputs=(features, features, layout_in_order(inputs[2])),
            outputs=tuple(Layout.plain(v.rank) for v in outputs),
        )

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A runtime layer."""
        return runtime(
            "PythonProposal" if self.as_python else "Proposal",
            ratios=unless(self.ratios, _RATIOS),
            scales=unless(self.scales, _SCALES),
            feat_stride=self.feat_stride,
            base_size=unless(self.base_size, 16),
            min_size=unless(self.min_size, 16),
            pre_nms_topn=self.pre_nms_topn,
            post_nms_topn=self.post_nms_topn,
            nms_thresh=self.nms_thresh,
            fixed_rows=ctx.fixed_rows or OMIT,
            with_scores=len(ctx.outputs) > 1 or OMIT,
        )(*inputs)


@register("Python:rpn.proposal_layer.ProposalLayer")
@dataclass(frozen=True, slots=True, kw_only=True)
class PythonProposal(Proposal):
    """The Python layer of py-faster-rcnn: boxes as `Proposal` finds them, with these differences.

    A box that is too small is left out. Boxes that end side by side overlap by the one value at their borders. The
    image has one scale. An optional second top holds the scores as (R, 1). Equal scores, whose order NumPy leaves
    open, stand in the order of the features: by row, column and anchor.

    Keys of `param_str`, which is YAML or a Python dict:

    | parameter | default | meaning |
    |---|---|---|
    | feat_stride | none | distance of the features' places in the image |
    | scales | 8, 16, 32 | extents of the anchors, in units of 16 |
    | ratios | 0.5, 1, 2 | heights of the anchors divided by their widths (in forks that read it) |

    Everything else stands in the configuration of py-faster-rcnn, of which the defaults for testing are taken:
    RPN_PRE_NMS_TOP_N 6000, RPN_POST_NMS_TOP_N 300, RPN_NMS_THRESH 0.7, RPN_MIN_SIZE 16.
    """

    ignored: tuple[str, ...] = ()

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """What `param_str` says."""
        settings = read_param_str(proto.message.python_param.param_str)
        stride = settings.get("feat_stride")
        if not isinstance(stride, int) or isinstance(stride, bool) or stride < 1:
            raise LayerError(f"param_str must give feat_stride, a whole number greater than 0: {stride!r} is given")
        return cls(
            ratios=_numbers(settings, "ratios", _RATIOS),
            scales=_numbers(settings, "scales", _SCALES),
            feat_stride=stride,
            as_python=True,
            ignored=tuple(sorted(settings.keys() - {"feat_stride", "ratios", "scales"})),
        )

    def remarks(self) -> tuple[str, ...]:
        """What is taken for granted, and which keys are not read."""
        taken = (
            f"{self.pre_nms_topn} boxes before and {self.post_nms_topn} after those that overlap by more than "
            f"{self.nms_thresh} are left out, none smaller than {self.min_size}"
        )
        notes = (
            f"the settings of py-faster-rcnn for testing are taken ({taken}); "
            "if your configuration says otherwise, change the arguments of the emitted layer"
        )
        unread = f"of param_str, {', '.join(self.ignored)} is not read"
        return (notes, unread) if self.ignored else (notes,)


def _numbers(settings: Mapping[str, object], key: str, default: tuple[float, ...]) -> tuple[float, ...]:
    """The list of numbers under a key of `param_str`."""
    given = settings.get(key, default)
    items = list(given) if isinstance(given, list | tuple) else [given]
    numbers = [float(n) for n in items if isinstance(n, int | float)]
    if not items or len(numbers) != len(items):
        raise LayerError(f"param_str must give {key} as a list of numbers: {given!r} is given")
    return _positive(f"param_str's {key}", numbers)


def _positive(what: str, numbers: Sequence[float]) -> tuple[float, ...]:
    check_positive(what, numbers)
    return tuple(numbers)
