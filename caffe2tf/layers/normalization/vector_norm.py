"""Lengths of vectors: Normalization (face recognition networks) and ChannelNorm (FlowNet 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime, unless
from caffe2tf.ir.layer import Arrangement, Context, Elementwise, Layer
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.four_axes import four_axes, to_four_axes, widened
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["ChannelNorm", "Normalization"]


@register("Normalization")
@dataclass(frozen=True, slots=True, kw_only=True)
class Normalization(Elementwise):
    """``y[n] = x[n] / sqrt(sum(x[n] ** 2))``, summed over all values of an item; an item of zeros becomes NaN.

    There are no parameters. It is not the layer Normalize, which has some.
    """

    def remarks(self) -> tuple[str, ...]:
        """Which of the layers of this name it is."""
        remark = (
            "Normalization was read as dividing each item by the length of all its values; "
            "a few forks take the length over the channels at each place instead"
        )
        return (remark,)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own: Keras' UnitNormalization gives zeros for zeros."""
        del ctx
        x = inputs[0]
        return runtime("Normalization", axis=unless(x.layout.tensor_axis(0) if x.rank else 0, 0))(x)


@register("ChannelNorm")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelNorm(Layer):
    """``y[n, 0, h, w] = sqrt(sum over c of x[n, c, h, w] ** 2)``.

    The output has four axes, that of the channels with extent 1. There are no parameters. Caffe does not compute it in
    place.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Nothing but the rule on its top, which has another shape."""
        if proto.bottoms[0] == proto.tops[0]:
            raise LayerError(
                f"ChannelNorm must not be computed in place: give its top another name than {proto.tops[0]!r}"
            )
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """One channel."""
        shape = four_axes(inputs[0], "ChannelNorm")
        return ((shape[0], 1, *shape[2:]),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any order of four axes; fewer have the channels last."""
        del outputs
        layout, wide = widened(inputs[0])
        return Arrangement(inputs=(layout,), outputs=(wide,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        x = inputs[0]
        axis = x.layout.tensor_axis(1)
        last = -1 if axis == x.rank - 1 else axis
        role = "" if x.rank == 4 else "length"  # the outermost layer has none, and fewer axes are reshaped at the end
        return to_four_axes(runtime("ChannelNorm", axis=unless(last, -1), role=role)(x), x, ctx.outputs[0])
