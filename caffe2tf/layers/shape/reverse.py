"""Reverse: a blob the other way round along some axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

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

__all__ = ["Reverse"]


@register("Reverse")
@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse(Layer):
    """The bottom with its last index first along `axis`; of the CTC forks and of Synopsys' Caffe.

    | parameter | default | meaning |
    |---|---|---|
    | reverse_param.axis | 0 | an axis that is reversed; may be negative, and be given several times |

    Without `axis` the CTC forks reverse axis 0, the time, and so does the model; Synopsys' Caffe changes nothing then.
    Not computed in place.
    """

    reads_unknown: ClassVar[tuple[str, ...]] = ("reverse_param",)

    axis: tuple[int, ...] = ()

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The axes."""
        forbid_in_place(proto)
        return cls(axis=proto.extra.block("reverse_param").only("axis").whole_numbers("axis"))

    def remarks(self) -> tuple[str, ...]:
        """What was made of no axis at all."""
        if self.axis:
            return ()
        return ("without reverse_param.axis it is reversed along axis 0, as by the Caffe forks for CTC",)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The bottom's shape."""
        self._axes(inputs[0])
        return (inputs[0],)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Unless the batch is reversed."""
        return Layer.trace_batch(self, batched, inputs, outputs) if 0 not in self._axes(inputs[0]) else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any order of the axes; a flattened axis must be in Caffe's order if it is reversed."""
        del outputs
        layout = inputs[0].layout
        if layout.blocks and 1 in self._axes(inputs[0].shape):
            layout = Layout.plain(2)
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        x = inputs[0]
        return runtime("Reverse", tuple(sorted(x.layout.tensor_axis(a) for a in self._axes(x.shape))))(x)

    def _axes(self, shape: Shape) -> set[int]:
        return {axis_of(shape, a, "reverse_param.axis") for a in self.axis or (0,)}
