"""Shape, and the reshape that reads one: Synopsys' layers for graphs that came from TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["PythonReshape", "TensorShape"]


@register("Shape", "Python:shape.TensorShape")
@dataclass(frozen=True, slots=True, kw_only=True)
class TensorShape(Layer):
    """The bottom's extents, as numbers along one axis; of Synopsys' Caffe. Not computed in place."""

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """No parameters."""
        forbid_in_place(proto)
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """One number for each axis."""
        if not inputs[0]:
            raise LayerError("the bottom must have an axis: it is one number")
        return ((len(inputs[0]),),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Never: the numbers are of the whole batch."""
        del batched, inputs, outputs
        return Batch.ABSENT

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Only the shape is read: any order will do."""
        del outputs
        return Arrangement(inputs=(inputs[0].layout,), outputs=(Layout.plain(1),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own, told which axis of the tensor is which of Caffe's."""
        del ctx
        x = inputs[0]
        return runtime("TensorShape", tuple(x.layout.tensor_axis(axis) for axis in range(x.rank)))(x)


@register("Python:reshape.Reshape")
@dataclass(frozen=True, slots=True, kw_only=True)
class PythonReshape(Layer):
    """The first bottom's values with the extents that the second holds; of Synopsys' Caffe.

    The extents are known only when the network runs, and the batch size is that of the definition. Of them, the last
    may be -1: it is worked out.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """No parameters."""
        forbid_in_place(proto)
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """As many axes as the second bottom has numbers."""
        shape = inputs[1]
        if len(shape) != 1 or shape[0] is None:
            raise LayerError(f"the second bottom must hold the extents along one axis, not {format_shape(shape)}")
        return ((None,) * shape[0],)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """It is not known whether axis 0 stays what it is."""
        del batched, inputs, outputs
        return Batch.FIXED

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        return runtime("ReshapeTo", inputs[1].shape[0])(*inputs)
