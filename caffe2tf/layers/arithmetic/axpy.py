"""Axpy: a factor for each channel, and a sum (SENet)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import Expr, keras
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.arithmetic.eltwise import agreed_layout, agreed_shape
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Axpy"]


@register("Axpy")
@dataclass(frozen=True, slots=True, kw_only=True)
class Axpy(Layer):
    """``y[n, c, ...] = a[n, c] * x[n, c, ...] + b[n, c, ...]``.

    The bottoms are a, of shape (N, C, 1, 1) or (N, C), then x and b, of one shape. There are no parameters.
    Caffe does not compute it in place.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (3, 3)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Nothing but the rule on its top, which takes the shape of bottom 1."""
        if proto.bottoms[0] == proto.tops[0]:
            raise LayerError(f"Axpy must not be computed in place: give its top another name than {proto.tops[0]!r}")
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of x and b."""
        a, x = inputs[0], agreed_shape(inputs[1:])
        if len(x) not in (2, 3, 4):
            raise LayerError(f"bottoms 1 and 2 of an Axpy must have 2 to 4 axes (N, C, ...), not {format_shape(x)}")
        if len(a) < 2 or any(m != n and None not in (m, n) for m, n in zip(a[:2], x[:2], strict=True)):
            raise LayerError(
                f"bottom 0 of an Axpy must have one value for each item and channel of bottom 1: "
                f"{format_shape(a)} is given for {format_shape(x)}"
            )
        if any(n not in (1, None) for n in a[2:]):
            problem = f"the axes of bottom 0 after the channels must have extent 1, not {format_shape(a)}"
            if len(a) == 4:
                raise LayerError(f"{problem}; put a global Pooling before it")
            raise LayerUnsupportedError(f"{problem}: Caffe would take values of other channels for it")
        return (x,)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """One layout for x, b and y that has the batch in front; a as it comes, since it has one axis of values."""
        del outputs
        layout = agreed_layout(inputs[1:])
        if layout.blocks or layout.axes[0] != 0:
            layout = Layout.plain(layout.rank)
        factor = inputs[0].layout
        if factor.blocks or factor.axes[0] != 0:
            factor = Layout.plain(factor.rank)
        return Arrangement(inputs=(factor, layout, layout), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' Multiply and Add."""
        del ctx
        a, x, b = inputs
        (channels,) = known(tuple(m or n for m, n in zip(a.shape[1:2], x.shape[1:2], strict=True)), "the channels")
        target = tuple(channels if axis == 1 else 1 for axis in x.layout.axes[1:])
        factor: Expr = a if a.tensor_shape[1:] == target else keras("Reshape", target, role="reshape")(a)
        return keras("Add")(keras("Multiply", role="scale")(x, factor), b)
