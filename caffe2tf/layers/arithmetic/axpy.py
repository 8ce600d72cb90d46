"""Axpy: multiplies each channel by a computed factor and adds a blob (SENet)."""

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

    Parameters: none. The layer must not be in place.

    Bottoms: three. a, (N, C), where more axes of extent 1 may follow; x and b, (N, C, ...), of one shape of 2 to 4
    axes. Tops: one, of the shape of x.

    Trained blobs: none.

    Source: ``src/caffe/layers/axpy_layer.cpp`` of github.com/hujie-frank/SENet.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (3, 3)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Check that the layer is not in place, as its top has the shape of bottom 1."""
        if proto.bottoms[0] == proto.tops[0]:
            raise LayerError(f"Axpy must not be computed in place: give its top another name than {proto.tops[0]!r}")
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of x and b, if a fits it."""
        a, x = inputs[0], agreed_shape(inputs[1:])
        if len(x) not in (2, 3, 4):
            raise LayerError(
                f"bottoms 1 and 2 of an Axpy must have 2 to 4 axes (N, C, ...); their shape is {format_shape(x)}"
            )
        if len(a) < 2 or any(m != n and None not in (m, n) for m, n in zip(a[:2], x[:2], strict=True)):
            raise LayerError(
                f"bottom 0 of an Axpy must have one value for each item and channel of bottom 1; "
                f"their shapes are {format_shape(a)} and {format_shape(x)}"
            )
        if any(n not in (1, None) for n in a[2:]):
            problem = f"the axes of bottom 0 after the channels must have extent 1; its shape is {format_shape(a)}"
            if len(a) == 4:
                raise LayerError(f"{problem}. Put a global Pooling before it")
            raise LayerUnsupportedError(f"{problem}. Caffe would read values of other channels")
        return (x,)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use one layout with the batch first for x, b and the top; keep that of a if its batch is first."""
        del outputs
        layout = agreed_layout(inputs[1:])
        if layout.blocks or layout.axes[0] != 0:
            layout = Layout.plain(layout.rank)
        factor = inputs[0].layout
        if factor.blocks or factor.axes[0] != 0:
            factor = Layout.plain(factor.rank)
        return Arrangement(inputs=(factor, layout, layout), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' Multiply and Add."""
        del ctx
        a, x, b = inputs
        (channels,) = known(tuple(m or n for m, n in zip(a.shape[1:2], x.shape[1:2], strict=True)), "the channels")
        target = tuple(channels if axis == 1 else 1 for axis in x.layout.axes[1:])
        factor: Expr = a if a.tensor_shape[1:] == target else keras("Reshape", target, role="reshape")(a)
        return keras("Add")(keras("Multiply", role="scale")(x, factor), b)
