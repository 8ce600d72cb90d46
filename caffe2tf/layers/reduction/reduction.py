"""Reduction: sums over all axes from one on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, keras, runtime, short, unless
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, canonical_axis
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Reduction"]


@register("Reduction")
@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction(Layer):
    """``y = coeff * sum of f(x)`` over all values from `axis` on; those axes are gone afterwards.

    | parameter | default | meaning |
    |---|---|---|
    | operation | SUM | SUM; ASUM: sum of absolute values; SUMSQ: sum of squares; MEAN |
    | axis | 0 | first axis that is summed over; may be negative |
    | coeff | 1 | factor of the result |
    """

    operation: str
    axis: int
    coefficient: float

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.reduction_param
        return cls(operation=p.ReductionOp.Name(p.operation), axis=p.axis, coefficient=p.coeff)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The axes before `axis`."""
        return (inputs[0][: self._axis(inputs[0])],)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any order of the values; the axes that stay keep theirs."""
        del outputs
        layout, axis = inputs[0].layout, self._axis(inputs[0].shape)
        return Arrangement(inputs=(layout,), outputs=(Layout(tuple(a for a in layout.axes if a < axis)),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' pooling where it takes the mean of images; else a layer of our own."""
        del ctx
        x, axis = inputs[0], self._axis(inputs[0].shape)
        if self.operation == "MEAN" and axis == 2 and self.coefficient == 1 and x.layout.axes == (0, 2, 3, 1):
            return keras("GlobalAveragePooling2D")(x)
        axes = tuple(i for i, a in enumerate(x.layout.axes) if a >= axis)
        coefficient = unless(short(self.coefficient), 1.0)
        return runtime("Reduction", self.operation, axes, coefficient=coefficient)(x)

    def _axis(self, shape: Shape) -> int:
        if not shape:
            raise LayerError("reduction_param.axis: a blob without axes has none to sum over")
        try:
            return canonical_axis(self.axis, len(shape))
        except ValueError as e:
            raise LayerError(f"reduction_param.axis: {e}") from None
