"""Unstack: the slices of a blob along one axis, with this axis removed."""

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
    """``y_i = x[..., i, ...]``: top i is the slice of the bottom at index i of one axis (Synopsys).

    There may be fewer tops than slices. The layer cannot work in place.

    | parameter (``unstack_param``) | default | meaning |
    |---|---|---|
    | axis | 0 | axis that is split and removed; may be negative |
    | num | 0 | ignored |

    Bottoms: one, of at least one axis. Tops: at most as many as the extent of the axis, of the shape of the bottom
    without it. Trained blobs: none.

    Source: ``src/caffe/layers/unstack_layer.cpp`` of github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    tops: ClassVar[tuple[int, int | None]] = (1, None)
    reads_unknown: ClassVar[tuple[str, ...]] = ("unstack_param",)

    axis: int
    count: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``unstack_param``, and the number of tops."""
        forbid_in_place(proto)
        given = proto.extra.block("unstack_param").only("axis", "num")
        given.whole_number("num", 0)
        return cls(axis=given.whole_number("axis", 0), count=len(proto.tops))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom without the axis, for each top."""
        shape = inputs[0]
        axis = axis_of(shape, self.axis, "unstack_param.axis")
        extent = shape[axis]
        if extent is not None and extent < self.count:
            raise LayerError(f"there may be at most {extent} tops, the extent of axis {axis}, not {self.count}")
        return ((*shape[:axis], *shape[axis + 1 :]),) * self.count

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless axis 0 is split."""
        return Layer.trace_batch(self, batched, inputs, outputs) if self._axis(inputs[0]) != 0 else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the order of the other axes; a flattened axis must be in Caffe's order."""
        layout, axis = inputs[0].layout, self._axis(inputs[0].shape)
        if layout.blocks:
            layout = Layout.plain(2)
        rest = Layout(tuple(a - (a > axis) for a in layout.axes if a != axis))
        return Arrangement(inputs=(layout,), outputs=(rest,) * len(outputs))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit one runtime layer that returns all tops, as Keras has no such layer."""
        del ctx
        x = inputs[0]
        return runtime("Unstack", x.layout.tensor_axis(self._axis(x.shape)), self.count)(x)

    def _axis(self, shape: Shape) -> int:
        return axis_of(shape, self.axis, "unstack_param.axis")
