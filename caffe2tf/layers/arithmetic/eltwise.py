"""Eltwise: product, sum or maximum of several blobs of one shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, keras, runtime, short
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Eltwise", "agreed_layout", "agreed_shape"]

_KERAS = {"PROD": "Multiply", "SUM": "Add", "MAX": "Maximum"}


@register("Eltwise")
@dataclass(frozen=True, slots=True, kw_only=True)
class Eltwise(Layer):
    """``y = x1 * x2 * ...``, ``y = coeff1 * x1 + coeff2 * x2 + ...`` or ``y = max(x1, x2, ...)``.

    Before it adds, Caffe clears the top. A SUM in place therefore loses its first bottom; the model does the same, and
    a note says so.

    | parameter (``eltwise_param``) | default | meaning |
    |---|---|---|
    | operation | SUM | PROD, SUM or MAX |
    | coeff | all 1 | SUM: factor of each bottom; ignored for MAX, refused for PROD |
    | stable_prod_grad | true | how the gradient of PROD is computed; no effect here |

    Bottoms: two or more, of one shape; a SUM may have one. Tops: one, of the same shape. Trained blobs: none.

    Deviations:

    - A MAX in place is computed as on a GPU; on a CPU, Caffe loses the first bottom of it, too.
    - Caffe requires two bottoms. FlowNet's fork takes a SUM of one, to scale it, and so does this layer.

    Source: ``src/caffe/layers/eltwise_layer.cpp``.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)

    operation: str
    coefficients: tuple[float, ...] = ()
    clears_first: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``eltwise_param``; for a SUM in place the first coefficient becomes 0."""
        p = proto.message.eltwise_param
        operation, coefficients = p.EltwiseOp.Name(p.operation), tuple(p.coeff)
        if len(proto.bottoms) == 1 and operation != "SUM":
            raise LayerError(f"an Eltwise of operation {operation} takes 2 bottoms or more, 1 given")
        if coefficients and len(coefficients) != len(proto.bottoms):
            raise LayerError(
                f"eltwise_param.coeff must be given once for each bottom, or not at all: "
                f"{len(coefficients)} given for {len(proto.bottoms)} bottoms"
            )
        if coefficients and operation == "PROD":
            raise LayerError("eltwise_param.coeff is for operation SUM; remove it, or scale with a Power layer")
        clears_first = operation == "SUM" and len(proto.bottoms) > 1 and proto.tops[:1] == proto.bottoms[:1]
        if clears_first:
            coefficients = (0.0, *(coefficients or (1.0,) * len(proto.bottoms))[1:])
        return cls(operation=operation, coefficients=coefficients, clears_first=clears_first)

    def remarks(self) -> tuple[str, ...]:
        """Return that a SUM in place loses its first bottom, which is hardly intended."""
        lost = (
            "in place, Caffe clears the top before it adds, and so does the model: the sum is without its first bottom"
        )
        return (lost,) if self.clears_first else ()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape that all bottoms share."""
        return (agreed_shape(inputs),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use the most common layout of the bottoms for all blobs."""
        layout = agreed_layout(inputs)
        return Arrangement(inputs=(layout,) * len(inputs), outputs=(layout,) * len(outputs))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit one of Keras' merging layers, or a runtime layer for scalars and coefficients, which they lack."""
        del ctx
        weighted = self.operation == "SUM" and any(c != 1 for c in self.coefficients)
        if len(inputs) == 1:
            return keras("Rescaling", short(self.coefficients[0]))(inputs[0]) if weighted else inputs[0]
        if inputs[0].rank and not weighted:
            return keras(_KERAS[self.operation])(*inputs)
        if inputs[0].rank and list(self.coefficients) == [1, -1]:
            return keras("Subtract")(*inputs)
        coefficients = tuple(short(c) for c in self.coefficients) if weighted else OMIT
        return runtime("Eltwise", self.operation, coefficients=coefficients)(*inputs)


def agreed_shape(shapes: Sequence[Shape]) -> Shape:
    """Return the shape that all bottoms share; an extent is known if that of any bottom is.

    Raises:
        LayerError: two shapes differ.
    """
    first = shapes[0]
    for i, shape in enumerate(shapes[1:], 1):
        pairs = zip(first, shape, strict=False)
        if len(shape) != len(first) or any(a is not None and b is not None and a != b for a, b in pairs):
            raise LayerError(
                f"all bottoms must have the same shape: bottom 0 is {format_shape(first)}, "
                f"bottom {i} is {format_shape(shape)}"
            )
        first = tuple(b if a is None else a for a, b in zip(first, shape, strict=True))
    return first


def agreed_layout(values: Sequence[Value]) -> Layout:
    """Return the most common layout of ``values``; in a tie, the first that is not Caffe's own order."""
    counts = Counter(v.layout for v in values)
    return max(counts, key=lambda layout: (counts[layout], not layout.is_plain))
