"""Losses that compare two blobs: contrastive, Euclidean, hinge, multinomial logistic and sigmoid cross-entropy."""

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
    """Base class of losses that read all bottoms in Caffe's order."""

    __slots__ = ()

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use layouts that hold the values in Caffe's order."""
        return Arrangement(
            inputs=tuple(layout_in_order(v) for v in inputs), outputs=tuple(Layout.plain(v.rank) for v in outputs)
        )


class _OfPair(Loss):
    """Base class of losses that compare two blobs value by value."""

    __slots__ = ()

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Accept any order of the values that is the same for both bottoms."""
        return Arrangement(
            inputs=layouts_of_pair(inputs[0], inputs[1]), outputs=tuple(Layout.plain(v.rank) for v in outputs)
        )


@register("EuclideanLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class EuclideanLoss(_OfPair):
    """``loss = sum((a - b) ** 2) / (2 * N)``, where N is the extent of axis 0.

    Parameters: none.

    Bottoms: a and b, (N, ...) of at most 4 axes, with equally many values per item. Tops: a scalar. Trained blobs:
    none.

    Source: ``src/caffe/layers/euclidean_loss_layer.cpp``.
    """

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return a scalar's shape after checking the bottoms."""
        check_first_axes(inputs)
        legacy_extent(inputs[0], 0)
        first, second = (count(s[1:]) for s in inputs)
        if first is not None and second is not None and first != second:
            raise LayerError(
                f"both bottoms must have the same number of values per item, "
                f"not {first} ({format_shape(inputs[0])}) and {second} ({format_shape(inputs[1])})"
            )
        return ((),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras' losses are not layers, and average over all values."""
        del ctx
        return runtime("EuclideanLoss")(*inputs)


@register("SigmoidCrossEntropyLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class SigmoidCrossEntropyLoss(_OfPair):
    """``loss = sum(-(t * log(p) + (1 - t) * log(1 - p))) / normalizer``, where ``p = sigmoid(x)``.

    The normalizer is at least 1. In a converted network that leaves losses out, the layer becomes a Sigmoid.

    | parameter (``loss_param``) | default | meaning |
    |---|---|---|
    | ignore_label | none | targets that are equal to it after truncation to an integer do not count |
    | normalization | BATCH_SIZE | divide by the number of values (FULL), of those that count (VALID), of items (BATCH_SIZE), or by 1 (NONE) |
    | normalize | none | old form, read if `normalization` is absent: true for VALID, false for BATCH_SIZE |

    Bottoms: scores x and targets t, (N, ...), with equally many values. Tops: a scalar. Trained blobs: none.

    Source: ``src/caffe/layers/sigmoid_cross_entropy_loss_layer.cpp``.
    """  # noqa: E501 - a row of a table

    ignore_label: int | None
    normalization: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``loss_param``."""
        p = proto.message.loss_param
        mode = "BATCH_SIZE"
        if p.HasField("normalization"):
            mode = p.NormalizationMode.Name(p.normalization)
        elif p.HasField("normalize"):
            mode = "VALID" if p.normalize else "BATCH_SIZE"
        return cls(ignore_label=p.ignore_label if p.HasField("ignore_label") else None, normalization=mode)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return a scalar's shape after checking the bottoms."""
        check_first_axes(inputs)
        first, second = (count(s) for s in inputs)
        if first is not None and second is not None and first != second:
            raise LayerError(
                f"both bottoms must have the same number of values, "
                f"not {first} ({format_shape(inputs[0])}) and {second} ({format_shape(inputs[1])})"
            )
        return ((),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras' BinaryCrossentropy is not a layer, and has other normalizations."""
        del ctx
        return runtime(
            "SigmoidCrossEntropyLoss",
            ignore_label=OMIT if self.ignore_label is None else self.ignore_label,
            normalization=unless(self.normalization, "BATCH_SIZE"),
        )(*inputs)

    def activation(self) -> Layer | None:
        """Return a Sigmoid."""
        return Sigmoid()


@register("ContrastiveLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastiveLoss(_InOrder):
    """``loss = sum(cost) / (2 * N)``, which draws similar pairs together and pushes other pairs apart.

    d is the Euclidean distance between corresponding items of a and b.

    - A similar pair costs ``d ** 2``.
    - Any other pair costs ``max(margin - d, 0) ** 2``, or ``max(margin - d ** 2, 0)`` with `legacy_version`.

    | parameter (``contrastive_loss_param``) | default | meaning |
    |---|---|---|
    | margin | 1 | distance from which on dissimilar pairs cost nothing |
    | legacy_version | false | use the cost of dissimilar pairs of old versions of Caffe |

    Bottoms: a and b, (N, C), and N numbers, which after truncation to an integer are not 0 for similar pairs. Tops: a
    scalar. Trained blobs: none.

    Source: ``src/caffe/layers/contrastive_loss_layer.cpp``.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (3, 3)
    first_target: ClassVar[int] = 2

    margin: float
    legacy: bool

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``contrastive_loss_param``."""
        p = proto.message.contrastive_loss_param
        return cls(margin=p.margin, legacy=p.legacy_version)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return a scalar's shape after checking the bottoms."""
        check_first_axes(inputs)
        channels = [legacy_extent(s, 1) for s in inputs]
        if channels[0] is not None and channels[1] is not None and channels[0] != channels[1]:
            raise LayerError(
                f"the first two bottoms must have the same number of channels, not {channels[0]} and {channels[1]}"
            )
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
        """Emit a runtime layer; Keras has no contrastive loss."""
        del ctx
        margin, legacy = unless(short(self.margin), 1.0), self.legacy or OMIT
        return runtime("ContrastiveLoss", margin=margin, legacy_version=legacy)(*inputs)


@register("HingeLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class HingeLoss(_InOrder):
    """``loss = sum(max(0, 1 - s * x)) / N``, where s is 1 for the class of the label and -1 for all other classes.

    The classes of an item are all its values. With the norm L2, each term is squared.

    | parameter (``hinge_loss_param``) | default | meaning |
    |---|---|---|
    | norm | L1 | or L2 |

    Bottoms: scores x, (N, ...) of at most 4 axes, and labels, (N, ...), of which the first N values are read. Tops: a
    scalar. Trained blobs: none.

    Deviations: a label that names no class gives NaN; Caffe writes past the end of the scores.

    Source: ``src/caffe/layers/hinge_loss_layer.cpp``.
    """

    norm: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``hinge_loss_param``."""
        p = proto.message.hinge_loss_param
        return cls(norm=p.Norm.Name(p.norm))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return a scalar's shape after checking the bottoms."""
        check_first_axes(inputs)
        legacy_extent(inputs[0], 0)
        return ((),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras' CategoricalHinge compares the class of the label with the best other one."""
        del ctx
        return runtime("HingeLoss", norm=unless(self.norm, "L1"))(*inputs)


@register("MultinomialLogisticLoss")
@dataclass(frozen=True, slots=True, kw_only=True)
class MultinomialLogisticLoss(_InOrder):
    """``loss = sum(-log(max(p[label], 1e-20))) / N``.

    The classes of an item are all its values.

    Parameters: none.

    Bottoms: probabilities p, (N, ...) of at most 4 axes, and labels, (N). Tops: a scalar. Trained blobs: none.

    Deviations: a label that names no class gives NaN; Caffe reads past the end of the probabilities.

    Source: ``src/caffe/layers/multinomial_logistic_loss_layer.cpp``.
    """

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return a scalar's shape after checking the bottoms."""
        check_first_axes(inputs)
        legacy_extent(inputs[0], 0)
        if any(legacy_extent(inputs[1], a) not in (1, None) for a in (1, 2, 3)):
            raise LayerError(f"there must be one label for each item, (N) or (N, 1), not {format_shape(inputs[1])}")
        return ((),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras' losses are not layers, and use other bounds of the logarithm."""
        del ctx
        return runtime("MultinomialLogisticLoss")(*inputs)
