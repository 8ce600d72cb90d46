"""Reduction: sum or mean over the last axes."""

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
    """Sum or mean over all axes from `axis` on, which are removed.

    - SUM: ``y = coeff * sum(x)``
    - ASUM: ``y = coeff * sum(abs(x))``
    - SUMSQ: ``y = coeff * sum(x ** 2)``
    - MEAN: ``y = coeff * mean(x)``

    | parameter (``reduction_param``) | default | meaning |
    |---|---|---|
    | operation | SUM | SUM, ASUM, SUMSQ or MEAN |
    | axis | 0 | first axis that is reduced; may be negative |
    | coeff | 1 | factor of the result |

    Bottoms: one, of at least one axis. Tops: one, with the axes of the bottom before `axis`. Trained blobs: none.

    Source: ``src/caffe/layers/reduction_layer.cpp``.
    """

    operation: str
    axis: int
    coefficient: float

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``reduction_param``."""
        p = proto.message.reduction_param
        return cls(operation=p.ReductionOp.Name(p.operation), axis=p.axis, coefficient=p.coeff)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the extents of the axes before `axis`."""
        return (inputs[0][: self._axis(inputs[0])],)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the order of the axes that stay; the order of the reduced values does not matter."""
        del outputs
        layout, axis = inputs[0].layout, self._axis(inputs[0].shape)
        return Arrangement(inputs=(layout,), outputs=(Layout(tuple(a for a in layout.axes if a < axis)),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' GlobalAveragePooling2D for a plain mean of NHWC images, else a runtime layer."""
        del ctx
        x, axis = inputs[0], self._axis(inputs[0].shape)
        if self.operation == "MEAN" and axis == 2 and self.coefficient == 1 and x.layout.axes == (0, 2, 3, 1):
            return keras("GlobalAveragePooling2D")(x)
        axes = tuple(i for i, a in enumerate(x.layout.axes) if a >= axis)
        coefficient = unless(short(self.coefficient), 1.0)
        return runtime("Reduction", self.operation, axes, coefficient=coefficient)(x)

    def _axis(self, shape: Shape) -> int:
        if not shape:
            raise LayerError("the bottom of a Reduction must have at least one axis")
        try:
            return canonical_axis(self.axis, len(shape))
        except ValueError as e:
            raise LayerError(f"reduction_param.axis: {e}") from None
