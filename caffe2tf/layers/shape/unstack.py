"""Unstack: the slices of a blob along one axis, without that axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.regroup import axis_of
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Unstack"]


@register("Unstack")
@dataclass(frozen=True, slots=True, kw_only=True)
class Unstack(Layer):
    """Top i is what the bottom holds at index i of one axis; of Synopsys' Caffe.

    | parameter (unstack_param) | default | meaning |
    |---|---|---|
    | axis | 0 | the axis, which the tops lack; may be negative |
    | num | 0 | changes nothing |

    There may be fewer tops than indices. Not computed in place.
    """

    tops: ClassVar[tuple[int, int | None]] = (1, None)
    reads_unknown: ClassVar[tuple[str, ...]] = ("unstack_param",)

    axis: int
    count: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The axis."""
        forbid_in_place(proto)
        given = proto.extra.block("unstack_param").only("axis", "num")
        given.whole_number("num", 0)
        return cls(axis=given.whole_number("axis", 0), count=len(proto.tops))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The bottom's shape without the axis."""
        shape = inputs[0]
        axis = axis_of(shape, self.axis, "unstack_param.axis")
        extent = shape[axis]
        if extent is not None and extent < self.count:
            raise LayerError(f"there may be as many tops as axis {axis} has indices ({extent}), not {self.count}")
        return ((*shape[:axis], *shape[axis + 1 :]),) * self.count

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Unless the batch itself is taken apart."""
        return Layer.trace_batch(self, batched, inputs, outputs) if self._axis(inputs[0]) != 0 else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any order of the axes, the rest of which stays; a flattened axis must be in Caffe's order."""
        layout, axis = inputs[0].layout, self._axis(inputs[0].shape)
        if layout.blocks:
            layout = Layout.plain(2)
        rest = Layout(tuple(a - (a > axis) for a in layout.axes if a != axis))
        return Arrangement(inputs=(layout,), outputs=(rest,) * len(outputs))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own, that gives all tops."""
        del ctx
        x = inputs[0]
        return runtime("Unstack", x.layout.tensor_axis(self._axis(x.shape)), self.count)(x)

    def _axis(self, shape: Shape) -> int:
        return axis_of(shape, self.axis, "unstack_param.axis")
