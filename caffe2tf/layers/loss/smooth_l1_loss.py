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
    """``loss = sum(w * f(v * (a - b))) / normalizer``.

    ``f(d) = (sigma * d) ** 2 / 2`` if ``abs(d) < 1 / sigma ** 2``, else ``abs(d) - 1 / (2 * sigma ** 2)``.

    | parameter | default | meaning |
    |---|---|---|
    | smooth_l1_loss_param.sigma | 1 | f is quadratic for differences smaller than ``1 / sigma ** 2`` |
    | loss_param.normalization | BATCH_SIZE | divide by N (BATCH_SIZE), N * H * W (VALID, FULL), `pre_fixed_normalizer` (PRE_FIXED), or 1 (NONE) |
    | loss_param.normalize | none | old form, read if `normalization` is absent: true for VALID, false for BATCH_SIZE |
    | loss_param.pre_fixed_normalizer | 1 | divisor for PRE_FIXED; numbers below 1 count as 1 |

    Only R-FCN's Caffe reads ``loss_param``; there the default is VALID. Fast R-CNN and SSD always divide by N. The two
    are the same if height and width are 1.

    Bottoms: a, b, and optionally the weights v inside and w outside f, all (N, C, H, W); trailing axes of extent 1 may
    be missing. SSD takes two or three, Fast R-CNN two or four. Tops: a scalar. Trained blobs: none.

    Source: ``src/caffe/layers/smooth_L1_loss_layer.cpp`` of github.com/rbgirshick/caffe-fast-rcnn,
    github.com/weiliu89/caffe (SSD) and github.com/daijifeng001/caffe-rfcn.
    """  # noqa: E501 - a row of a table

    bottoms: ClassVar[tuple[int, int | None]] = (2, 4)
    default: ClassVar[str] = "BATCH_SIZE"

    sigma: float
    normalization: str
    pre_fixed: float
    stated: bool = False  # whether the definition states a normalization

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``smooth_l1_loss_param`` and ``loss_param``."""
        sigma = proto.message.smooth_l1_loss_param.sigma
        check_positive("smooth_l1_loss_param.sigma", [sigma])
        p = proto.message.loss_param
        mode, stated = cls.default, p.HasField("normalization")
        if stated:
            mode = p.NormalizationMode.Name(p.normalization)
        elif p.HasField("normalize"):
            mode, stated = "VALID" if p.normalize else "BATCH_SIZE", True
        if mode == "PRE_FIXED":
            check_finite("loss_param.pre_fixed_normalizer", [p.pre_fixed_normalizer])
        return cls(sigma=sigma, normalization=mode, pre_fixed=p.pre_fixed_normalizer, stated=stated)

    def remarks(self) -> tuple[str, ...]:
        """Say that a stated normalization is R-FCN's."""
        if not self.stated:
            return ()
        return ("loss_param is read as in R-FCN's Caffe; Fast R-CNN and SSD ignore it and divide by the batch size",)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return a scalar's shape after checking that all bottoms have the same extents."""
        check_first_axes(inputs)
        first = inputs[0]
        for i, shape in enumerate(inputs[1:], 1):
            pairs = [(legacy_extent(first, a), legacy_extent(shape, a)) for a in range(4)]
            if any(None not in (m, n) and m != n for m, n in pairs):
                raise LayerError(
                    "all bottoms must have the same batch size, channels, height and width: "
                    f"bottom 0 is {format_shape(first)}, bottom {i} is {format_shape(shape)}"
                )
        return ((),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Accept any layout that is the same for all bottoms and keeps the order of the spatial axes."""
        if len({v.shape for v in inputs}) == 1:
            layout = agreed_layout(inputs)
            keeps_order = layout.axes[:1] == (0,) and [a for a in layout.axes if a > 1] == list(range(2, layout.rank))
            agreed = (layout if keeps_order else Layout.plain(layout.rank),) * len(inputs)
        else:
            agreed = tuple(layout_in_order(v) for v in inputs)
        return Arrangement(inputs=agreed, outputs=tuple(Layout.plain(v.rank) for v in outputs))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras' Huber is not a layer, and has no weights inside the function."""
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
    """``loss = sum(f(v * (a - b))) / normalizer``, where f is the function of SmoothL1Loss with sigma 1.

    The second top holds the sum over the channels at each position, before the division.

    | parameter | default | meaning |
    |---|---|---|
    | loss_param.normalization | VALID | divide by N * H * W (VALID, FULL), N (BATCH_SIZE), `pre_fixed_normalizer` (PRE_FIXED), or 1 (NONE) |
    | loss_param.normalize | none | old form, read if `normalization` is absent: true for VALID, false for BATCH_SIZE |
    | loss_param.pre_fixed_normalizer | 1 | divisor for PRE_FIXED; numbers below 1 count as 1 |

    Bottoms: a, b, and optionally the weights v, all (N, C, H, W). Tops: a scalar, and optionally (N, 1, H, W). Trained
    blobs: none.

    Deviations: ``smooth_l1_loss_param.sigma`` is used if it is given; Caffe's layer ignores it.

    Source: ``src/caffe/layers/smooth_L1_loss_ohem_layer.cpp`` of R-FCN's Caffe, github.com/daijifeng001/caffe-rfcn.
    """  # noqa: E501 - a row of a table

    bottoms: ClassVar[tuple[int, int | None]] = (2, 3)
    tops: ClassVar[tuple[int, int | None]] = (1, 2)
    default: ClassVar[str] = "VALID"

    def remarks(self) -> tuple[str, ...]:
        """Return no remarks; only R-FCN's Caffe has the layer."""
        return ()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the loss and of the sums over the channels."""
        loss = SmoothL1Loss.infer(self, *inputs)
        number, _, height, width = (legacy_extent(inputs[0], a) for a in range(4))
        return (*loss, (number, 1, height, width))


@register("SoftmaxWithLossOHEM")
@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxWithLossOHEM(Loss):
    """R-FCN's softmax loss with the loss of each example as a top. It is always left out, with a note.

    | parameter (``softmax_param``) | default | meaning |
    |---|---|---|
    | axis | 1 | the axis of the classes; negative numbers count from the end |

    Bottoms: scores, such as (N, C, H, W), and labels, one for each prediction. Tops: a scalar, and optionally the
    probabilities and the loss of each prediction. Trained blobs: none.

    Source: ``src/caffe/layers/softmax_loss_ohem_layer.cpp`` of R-FCN's Caffe, github.com/daijifeng001/caffe-rfcn.
    """

    tops: ClassVar[tuple[int, int | None]] = (1, 3)
    computable: ClassVar[bool] = False

    axis: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``softmax_param``."""
        return cls(axis=proto.message.softmax_param.axis)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the loss, the probabilities, and the loss of each prediction."""
        check_first_axes(inputs)
        check_labels(inputs[0], inputs[1], class_axis(self.axis, inputs[0], "softmax_param.axis"))
        return (), inputs[0], inputs[1]
