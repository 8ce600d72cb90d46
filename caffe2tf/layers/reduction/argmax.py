"""ArgMax: the indices of the largest values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, runtime, unless
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, canonical_axis, count
from caffe2tf.ir.value import Value
from caffe2tf.layers.loss.loss_base import layout_in_order
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["ArgMax"]


@register("ArgMax")
@dataclass(frozen=True, slots=True, kw_only=True)
class ArgMax(Layer):
    """The indices of the `top_k` largest values, the largest first; of equal values, the last one comes first.

    - Without `axis`: each item of axis 0 is searched as a whole. Indices count its values in Caffe's order.
    - With `axis`: the values along this axis are searched.

    | parameter (``argmax_param``) | default | meaning |
    |---|---|---|
    | top_k | 1 | number of values |
    | out_max_val | false | return the values: after the indices, or with `axis` instead of the indices |
    | axis | none | axis that is searched; may be negative |

    Bottoms: one, of at least one axis. Tops: one; with `axis` the shape of the bottom with the extent `top_k` along it;
    without, (N, 1, top_k), or with `out_max_val` (N, 2, top_k), first the indices, then the values. If the bottom has
    more than 3 axes, axes of extent 1 follow up to their number. Trained blobs: none.

    Source: ``src/caffe/layers/argmax_layer.cpp``.
    """

    top_k: int
    values: bool
    axis: int | None

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``argmax_param``."""
        p = proto.message.argmax_param
        if p.top_k < 1:
            raise LayerError(f"argmax_param.top_k must be 1 or more, not {p.top_k}")
        return cls(top_k=p.top_k, values=p.out_max_val, axis=p.axis if p.HasField("axis") else None)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return `top_k` values along the axis; without `axis`, (N, 1 or 2, top_k, 1, ...)."""
        (shape,) = inputs
        if not shape:
            raise LayerError("the bottom of an ArgMax must have at least one axis")
        axis = self._axis(shape)
        size = count(shape[1:]) if axis is None else shape[axis]
        if size is not None and self.top_k > size:
            where = "for each index of axis 0" if axis is None else f"along axis {axis}"
            raise LayerError(f"argmax_param.top_k ({self.top_k}) must not be greater than the {size} values {where}")
        if axis is not None:
            return ((*shape[:axis], self.top_k, *shape[axis + 1 :]),)
        return ((shape[0], 2 if self.values else 1, self.top_k, *(1 for _ in shape[3:])),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless axis 0 is searched."""
        return Layer.trace_batch(self, batched, inputs, outputs) if self._axis(inputs[0]) != 0 else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout if one axis is searched; else use Caffe's order, in which the indices count."""
        x, layout = inputs[0], inputs[0].layout
        if self._axis(x.shape) is None:
            return Arrangement(inputs=(layout_in_order(x),), outputs=(Layout.plain(outputs[0].rank),))
        layout = Layout.plain(x.rank) if layout.blocks else layout
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras has no such layer, and TensorFlow prefers the first of equal values."""
        x = inputs[0]
        axis = self._axis(x.shape)
        top_k, values = unless(self.top_k, 1), self.values or OMIT
        if axis is None:
            return runtime("FlatArgMax", rank=unless(ctx.outputs[0].rank, 3), top_k=top_k, with_values=values)(x)
        return runtime("ArgMax", x.layout.tensor_axis(axis), top_k=top_k, values=values)(x)

    def _axis(self, shape: Shape) -> int | None:
        if self.axis is None:
            return None
        try:
            return canonical_axis(self.axis, len(shape))
        except ValueError as e:
            raise LayerError(f"argmax_param.axis: {e}") from None
