"""Losses on two blobs of equal size or on pairs: contrastive, Euclidean, hinge, logistic, sigmoid cross entropy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, runtime, short, unless
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, count, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.activation.activations import Sigmoid
from caffe2tf.layers.loss.loss_base import Loss, check_first_axes, layout_in_order, layouts_of_pair, legacy_extent
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = [
    "ContrastiveLoss",
    "EuclideanLoss",
    "HingeLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
]


class _InOrder(Loss):
    """A loss that reads all its bottoms in Caffe's order."""

    __slots__ = ()

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Tensors that hold their values in Caffe's order."""
        return Arrangement(
            inputs=tuple(layout_in_order(v) for v in inputs), outputs=tuple(Layout.plain(v.rank) for v in outputs)
        )


class _OfPair(Loss):
    """A loss on what stands at the same place of two blobs."""

    __slots__ = ()

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any order, as long as it is the same for both."""
        return Arrangement(
            inputs=layouts_of_pair(inputs[0], inputs[1]), outputs=tuple(Layout.plain(v.rank) for v in outputs)
        )


@register("EuclideanLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class EuclideanLoss(_OfPair):
    """``sum of (a - b) ** 2 / (2 N)``, N being the extent of axis 0."""

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A scalar."""
        check_first_axes(inputs)
        legacy_extent(inputs[0], 0)
        first, second = (count(s[1:]) for s in inputs)
        if first is not None and second is not None and first != second:
            raise LayerError(
                f"both bottoms must have the same number of values for each index of axis 0: "
                f"{first} ({format_shape(inputs[0])}) and {second} ({format_shape(inputs[1])}) are given"
            )
        return ((),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        return runtime("EuclideanLoss")(*inputs)


@register("SigmoidCrossEntropyLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class SigmoidCrossEntropyLoss(_OfPair):
    """``sum of -(t log(p) + (1 - t) log(1 - p)) / normalizer``, p being the sigmoid of the first bottom.

    | parameter | default | meaning |
    |---|---|---|
    | loss_param.ignore_label | none | targets of this value, decimals cut off, do not count |
    | loss_param.normalization | BATCH_SIZE | FULL: all values; VALID: those that count; BATCH_SIZE: axis 0; NONE: 1 |
    | loss_param.normalize | none | old form: true is VALID, false BATCH_SIZE |
    """

    ignore_label: int | None
    normalization: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.loss_param
        mode = "BATCH_SIZE"
        if p.HasField("normalization"):
            mode = p.NormalizationMode.Name(p.normalization)
        elif p.HasField("normalize"):
            mode = "VALID" if p.normalize else "BATCH_SIZE"
        return cls(ignore_label=p.ignore_label if p.HasField("ignore_label") else None, normalization=mode)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A scalar."""
        check_first_axes(inputs)
        first, second = (count(s) for s in inputs)
        if first is not None and second is not None and first != second:
            raise LayerError(
                f"both bottoms must have the same number of values: "
                f"{first} ({format_shape(inputs[0])}) and {second} ({format_shape(inputs[1])}) are given"
            )
        return ((),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        return runtime(
            "SigmoidCrossEntropyLoss",
            ignore_label=OMIT if self.ignore_label is None else self.ignore_label,
            normalization=unless(self.normalization, "BATCH_SIZE"),
        )(*inputs)

    def activation(self) -> Layer | None:
        """The sigmoid."""
        return Sigmoid()


@register("ContrastiveLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastiveLoss(_InOrder):
    """Pulls similar pairs together and pushes others apart.

    With ``d`` the distance between rows of the first two bottoms, and ``s`` the third, decimals cut off:
    ``sum over rows of (d ** 2 where s is not 0, else max(margin - d, 0) ** 2) / (2 N)``.

    | parameter | default | meaning |
    |---|---|---|
    | margin | 1 | distance from which on pairs that are not similar cost nothing |
    | legacy_version | false | ``max(margin - d ** 2, 0)`` for pairs that are not similar |
    """

    bottoms: ClassVar[tuple[int, int | None]] = (3, 3)
    first_target: ClassVar[int] = 2

    margin: float
    legacy: bool

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.contrastive_loss_param
        return cls(margin=p.margin, legacy=p.legacy_version)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A scalar."""
        check_first_axes(inputs)
        channels = [legacy_extent(s, 1) for s in inputs]
        if channels[0] is not None and channels[1] is not None and channels[0] != channels[1]:
            raise LayerError(f"the first two bottoms must have the same channels, not {channels[0]} and {channels[1]}")
        if channels[2] not in (1, None):
            raise LayerError(f"the third bottom must have one value for each pair, not {channels[2]} channels")
        for i, shape in enumerate(inputs):
            if any(legacy_extent(shape, a) not in (1, None) for a in (2, 3)):
                raise LayerError(f"bottom {i} must have height and width 1, not {format_shape(shape)}")
        pairs, have = inputs[0][0], count(inputs[2])
        if pairs is not None and have is not None and have < pairs:
            raise LayerError(f"the third bottom must have one value for each of {pairs} pairs, not {have}")
        return ((),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        margin, legacy = unless(short(self.margin), 1.0), self.legacy or OMIT
        return runtime("ContrastiveLoss", margin=margin, legacy_version=legacy)(*inputs)


@register("HingeLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class HingeLoss(_InOrder):
    """``sum of max(0, 1 - x) for the class of the label, and of max(0, 1 + x) for the others, / N``.

    The classes are all values of an index along axis 0. With norm L2 each term is squared.

    | parameter | default | meaning |
    |---|---|---|
    | norm | L1 | L1 or L2 |

    A label that names no class gives NaN; Caffe writes past the end of the scores.
    """

    norm: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The norm."""
        p = proto.message.hinge_loss_param
        return cls(norm=p.Norm.Name(p.norm))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A scalar."""
        check_first_axes(inputs)
        legacy_extent(inputs[0], 0)
        return ((),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        return runtime("HingeLoss", norm=unless(self.norm, "L1"))(*inputs)


@register("MultinomialLogisticLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class MultinomialLogisticLoss(_InOrder):
    """``sum of -log(max(p, 1e-20)) / N``, p being the probability of the class of the label.

    The classes are all values of an index along axis 0. A label that names no class gives NaN; Caffe reads past the
    end of the probabilities.
    """

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A scalar."""
        check_first_axes(inputs)
        legacy_extent(inputs[0], 0)
        if any(legacy_extent(inputs[1], a) not in (1, None) for a in (1, 2, 3)):
            raise LayerError(f"there must be one label for each index of axis 0, not {format_shape(inputs[1])}")
        return ((),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        return runtime("MultinomialLogisticLoss")(*inputs)
