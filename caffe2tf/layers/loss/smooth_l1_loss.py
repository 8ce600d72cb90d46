"""Losses of Fast R-CNN and R-FCN: SmoothL1Loss, SmoothL1LossOHEM, SoftmaxWithLossOHEM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, runtime, short, unless
from caffe2tf.ir.layer import Arrangement, Context
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.arithmetic.eltwise import agreed_layout
from caffe2tf.layers.checks import check_finite, check_positive
from caffe2tf.layers.loss.loss_base import (
    Loss,
    check_first_axes,
    check_labels,
    class_axis,
    layout_in_order,
    legacy_extent,
)
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["SmoothL1Loss", "SmoothL1LossOHEM", "SoftmaxWithLossOHEM"]


@register("SmoothL1Loss")
@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothL1Loss(Loss):
    """``sum of w * f(v * (a - b)) / N``, N being the extent of axis 0.

    ``f(d)`` is ``(sigma * d) ** 2 / 2`` where ``abs(d) < 1 / sigma ** 2``, else ``abs(d) - 1 / (2 * sigma ** 2)``. The
    bottoms are a, b, and, if there are three or four, the weights v inside and w outside of f.

    | parameter | default | meaning |
    |---|---|---|
    | sigma | 1 | where f changes its form |
    | loss_param.normalization | BATCH_SIZE | VALID, FULL: N * H * W; PRE_FIXED: pre_fixed_normalizer; NONE: 1 |
    | loss_param.normalize | none | old form: true is VALID, false BATCH_SIZE |
    | loss_param.pre_fixed_normalizer | 1 | what PRE_FIXED divides by, but never less than 1 |

    Fast R-CNN and SSD know no normalization; R-FCN's Caffe, which does, has VALID as its default, and that is the same
    for blobs whose height and width are 1. SSD takes two or three bottoms, Fast R-CNN two or four.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 4)
    default: ClassVar[str] = "BATCH_SIZE"

    sigma: float
    normalization: str
    pre_fixed: float
    told: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        sigma = proto.message.smooth_l1_loss_param.sigma
        check_positive("smooth_l1_loss_param.sigma", [sigma])
        p = proto.message.loss_param
        mode, told = cls.default, p.HasField("normalization")
        if told:
            mode = p.NormalizationMode.Name(p.normalization)
        elif p.HasField("normalize"):
            mode, told = "VALID" if p.normalize else "BATCH_SIZE", True
        if mode == "PRE_FIXED":
            check_finite("loss_param.pre_fixed_normalizer", [p.pre_fixed_normalizer])
        return cls(sigma=sigma, normalization=mode, pre_fixed=p.pre_fixed_normalizer, told=told)

    def remarks(self) -> tuple[str, ...]:
        """Whose normalization it is."""
        if not self.told:
            return ()
        return ("its loss_param is read as R-FCN's Caffe reads it; Fast R-CNN and SSD divide by the batch size",)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A scalar."""
        check_first_axes(inputs)
        first = inputs[0]
        for i, shape in enumerate(inputs[1:], 1):
            pairs = [(legacy_extent(first, a), legacy_extent(shape, a)) for a in range(4)]
            if any(None not in (m, n) and m != n for m, n in pairs):
                raise LayerError(
                    "all bottoms must have the same number, channels, height and width: "
                    f"bottom 0 is {format_shape(first)}, bottom {i} is {format_shape(shape)}"
                )
        return ((),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any order, as long as it is the same for all of them."""
        if len({v.shape for v in inputs}) == 1:
            layout = agreed_layout(inputs)
            keeps_order = layout.axes[:1] == (0,) and [a for a in layout.axes if a > 1] == list(range(2, layout.rank))
            agreed = (layout if keeps_order else Layout.plain(layout.rank),) * len(inputs)
        else:
            agreed = tuple(layout_in_order(v) for v in inputs)
        return Arrangement(inputs=agreed, outputs=tuple(Layout.plain(v.rank) for v in outputs))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        first, per_place = ctx.inputs[0], len(ctx.outputs) > 1
        mode = {"VALID": "FULL", "PRE_FIXED": "NONE"}.get(self.normalization, self.normalization)
        divisor = max(1.0, short(self.pre_fixed)) if self.normalization == "PRE_FIXED" else 1.0
        at = first.layout.tensor_axis(1) if first.rank > 1 else None
        at = -1 if at == first.rank - 1 or not (per_place or mode == "FULL") else at
        return runtime(
            "SmoothL1Loss",
            sigma=unless(short(self.sigma), 1.0),
            normalization=unless(mode, "BATCH_SIZE"),
            channel_axis=unless(at, -1),
            divisor=unless(divisor, 1.0),
            per_place=per_place or OMIT,
        )(*inputs)


@register("SmoothL1LossOHEM")
@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothL1LossOHEM(SmoothL1Loss):
    """``sum of f(v * (a - b)) / n``, f being that of `SmoothL1Loss` with sigma 1; the third bottom v may be left out.

    A second top (N, 1, H, W) holds the sum of each place over the channels, before the division.

    | parameter | default | meaning |
    |---|---|---|
    | loss_param.normalization | VALID | n: VALID, FULL: N * H * W; BATCH_SIZE: N; PRE_FIXED: a number; NONE: 1 |
    | loss_param.normalize | none | old form: true is VALID, false BATCH_SIZE |
    | loss_param.pre_fixed_normalizer | 1 | what PRE_FIXED divides by, but never less than 1 |
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 3)
    tops: ClassVar[tuple[int, int | None]] = (1, 2)
    default: ClassVar[str] = "VALID"

    def remarks(self) -> tuple[str, ...]:
        """None: only R-FCN's Caffe has the layer."""
        return ()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A scalar, and a value for each place."""
        loss = SmoothL1Loss.infer(self, *inputs)
        number, _, height, width = (legacy_extent(inputs[0], a) for a in range(4))
        return (*loss, (number, 1, height, width))


@register("SoftmaxWithLossOHEM")
@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxWithLossOHEM(Loss):
    """R-FCN's softmax loss that tells what each example costs, to choose hard ones. It is always left out, with a note.

    | parameter | default | meaning |
    |---|---|---|
    | softmax_param.axis | 1 | the axis of the classes; may be negative |
    """

    tops: ClassVar[tuple[int, int | None]] = (1, 3)
    computable: ClassVar[bool] = False

    axis: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The axis."""
        return cls(axis=proto.message.softmax_param.axis)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A scalar, the probabilities, and the loss of each label."""
        check_first_axes(inputs)
        check_labels(inputs[0], inputs[1], class_axis(self.axis, inputs[0], "softmax_param.axis"))
        return (), inputs[0], inputs[1]
