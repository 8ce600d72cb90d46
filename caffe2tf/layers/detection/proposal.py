"""Proposal: decodes a region proposal network into boxes, as PVANet's Caffe and py-faster-rcnn's Python layer do."""

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
    """Decodes the output of a region proposal network into boxes of one image, best first.

    1. There is an anchor for each ratio and each scale at each position of the feature map, A at each position. The
       predicted offsets move and stretch each anchor. The resulting box is clipped to the image.
    2. A box that is narrower or lower than ``min_size * scale`` has the score 0.
    3. The `pre_nms_topn` boxes of the highest scores are considered, best first. Boxes of equal score are in the order
       of Caffe's sorting algorithm.
    4. A box is removed if its overlap (intersection over union) with a better box that is kept exceeds `nms_thresh`.
    5. The first `post_nms_topn` boxes are returned.

    A row of the first top is 0, left, top, right and bottom, in pixels of the image. With a fixed number of rows, there
    are `post_nms_topn`, and unused ones hold zeros: a box of one pixel, which a later ROIPooling can read.

    | parameter (``proposal_param``) | default | meaning |
    |---|---|---|
    | ratio | none | heights of the anchors divided by their widths; repeated |
    | scale | none | sizes of the anchors in units of `base_size`; repeated |
    | feat_stride | 16 | distance between adjacent positions of the feature map, in pixels of the image |
    | base_size | 16 | extent of an anchor of ratio 1 and scale 1 |
    | min_size | 16 | smallest width and height of a box, in pixels of the original image, before scaling |
    | pre_nms_topn | 6000 | largest number of boxes that are considered |
    | post_nms_topn | 300 | largest number of boxes that are returned |
    | nms_thresh | 0.7 | largest overlap with a better box |

    If neither `ratio` nor `scale` is given, the layer is that of Synopsys' Caffe, which computes the same as the Python
    layer of py-faster-rcnn (see PythonProposal).

    Bottoms: scores (1, 2A, H, W), the second half of the channels for objects; offsets (1, 4A, H, W); height, width and
    scale of the image (1, 3), or height, width, and the scales along height and width (1, 4). Tops: (R, 5), and
    optionally the scores (R), or (R, 1) in Synopsys' layer; the number R of boxes is known only at run time. Trained
    blobs: none.

    Deviations: with three numbers, the image has one scale; PVANet's Caffe reads a fourth past the end of the blob.

    Source: ``src/caffe/layers/proposal_layer.cpp`` of PVANet's Caffe, and of
    github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
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
        """Read ``proposal_param``."""
        p = proto.message.proposal_param
        if bool(p.ratio) != bool(p.scale):
            raise LayerError("proposal_param.ratio and scale must be given together; each pair defines an anchor")
        for field in ("base_size", "pre_nms_topn", "post_nms_topn"):
            if getattr(p, field) < 1:
                raise LayerError(f"proposal_param.{field} must be 1 or more, not {getattr(p, field)}")
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
        """Say that a layer without ratios and scales is read as Synopsys'."""
        if not self.as_python:
            return ()
        rules = "the anchors have ratios 0.5, 1 and 2 and scales 8, 16 and 32, and boxes that are too small are removed"
        return (f"without ratio and scale, Proposal is read as Synopsys' layer: {rules}",)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shapes of boxes and scores, whose number is known only at run time."""
        scores, offsets, info = inputs
        anchors = len(self.ratios) * len(self.scales)
        for i, (shape, each) in enumerate(((scores, 2), (offsets, 4))):
            if len(shape) != 4:
                raise LayerError(f"bottom {i} must have 4 axes (N, C, H, W), not {format_shape(shape)}")
            if shape[0] not in (1, None):
                raise LayerError(f"Proposal takes one image at a time; bottom {i} has a batch of {shape[0]}")
            wanted, have = each * anchors, shape[1]
            if have is not None and (have < wanted or (self.as_python and have > wanted)):
                raise LayerError(
                    f"bottom {i} must have {each} channels for each of {anchors} anchors ({len(self.ratios)} ratios, "
                    f"{len(self.scales)} scales), {wanted} in all, not {have}"
                )
        if any(None not in (a, b) and a != b for a, b in zip(scores[2:], offsets[2:], strict=True)):
            raise LayerError(
                "scores and offsets must have the same height and width, "
                f"not {format_shape(scores)} and {format_shape(offsets)}"
            )
        numbers = count(info)
        if numbers is not None and numbers < 3:
            raise LayerError(f"the third bottom must hold the image's height, width and scale, not {numbers} values")
        return (None, 5), (None, 1) if self.as_python else (None,)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Fix the batch size: there is one image, and its boxes are not a batch."""
        del batched, inputs, outputs
        return Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC for scores and offsets."""
        features = Layout.channels_last(4)
        return Arrangement(
            inputs=(features, features, layout_in_order(inputs[2])),
            outputs=tuple(Layout.plain(v.rank) for v in outputs),
        )

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no region proposals."""
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
    """Decodes the output of a region proposal network as the Python layer of py-faster-rcnn does.

    It computes the same as Proposal, with these differences:

    - Boxes that are too small are removed.
    - Adjacent boxes overlap by one pixel at their common border.
    - The image has one scale.
    - Boxes of equal score, whose order NumPy does not define, are in the order of row, column and anchor.

    The other settings come from the configuration of py-faster-rcnn, whose defaults for testing are assumed:
    RPN_PRE_NMS_TOP_N 6000, RPN_POST_NMS_TOP_N 300, RPN_NMS_THRESH 0.7, RPN_MIN_SIZE 16.

    | parameter (key of ``python_param.param_str``, YAML or a Python dict) | default | meaning |
    |---|---|---|
    | feat_stride | required | distance between adjacent positions of the feature map, in pixels of the image |
    | scales | 8, 16, 32 | sizes of the anchors in units of 16 |
    | ratios | 0.5, 1, 2 | heights of the anchors divided by their widths; only some forks read it |

    Bottoms: scores (1, 2A, H, W), the second half of the channels for objects; offsets (1, 4A, H, W); height, width and
    scale of the image (1, 3). Tops: (R, 5), and optionally the scores (R, 1); the number R of boxes is known only at
    run time. Trained blobs: none.

    Source: ``lib/rpn/proposal_layer.py`` of github.com/rbgirshick/py-faster-rcnn.
    """

    ignored: tuple[str, ...] = ()

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``param_str``."""
        settings = read_param_str(proto.message.python_param.param_str)
        stride = settings.get("feat_stride")
        if stride is None:
            raise LayerError("feat_stride is required in param_str")
        if not isinstance(stride, int) or isinstance(stride, bool) or stride < 1:
            raise LayerError(f"feat_stride in param_str must be an integer greater than 0, not {stride!r}")
        return cls(
            ratios=_numbers(settings, "ratios", _RATIOS),
            scales=_numbers(settings, "scales", _SCALES),
            feat_stride=stride,
            as_python=True,
            ignored=tuple(sorted(settings.keys() - {"feat_stride", "ratios", "scales"})),
        )

    def remarks(self) -> tuple[str, ...]:
        """State the settings that are assumed, and the keys that are ignored."""
        assumed = (
            f"{self.pre_nms_topn} boxes before and {self.post_nms_topn} after removing those that overlap by more than "
            f"{self.nms_thresh}, none smaller than {self.min_size}"
        )
        settings = (
            f"py-faster-rcnn's default settings for testing are assumed ({assumed}); "
            "if your configuration differs, change the arguments of the emitted layer"
        )
        ignored = f"keys of param_str that are ignored: {', '.join(self.ignored)}"
        return (settings, ignored) if self.ignored else (settings,)


def _numbers(settings: Mapping[str, object], key: str, default: tuple[float, ...]) -> tuple[float, ...]:
    """Return the list of numbers at a key of ``param_str``."""
    given = settings.get(key, default)
    items = list(given) if isinstance(given, list | tuple) else [given]
    numbers = [float(n) for n in items if isinstance(n, int | float)]
    if not items or len(numbers) != len(items):
        raise LayerError(f"{key} in param_str must be a list of numbers, not {given!r}")
    return _positive(f"{key} in param_str", numbers)


def _positive(what: str, numbers: Sequence[float]) -> tuple[float, ...]:
    check_positive(what, numbers)
    return tuple(numbers)
