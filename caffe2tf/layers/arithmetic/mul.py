"""Mul: the product of two blobs, broadcast as in NumPy (Synopsys)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, keras, runtime
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Arrangement, Batch, BlobSpec, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.arithmetic.eltwise import agreed_layout
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Mul"]


@register("Mul")
@dataclass(frozen=True, slots=True, kw_only=True)
class Mul(Layer):
    """``y = x * m``, where m is the second bottom or a trained blob, and both are broadcast.

    Axes are aligned from the last one on. Along each, the extents must be equal, or one of them must be 1 or missing.

    | parameter | default | meaning |
    |---|---|---|
    | mul_param.mul_shape | no axes: a scalar | shape of a trained m |

    The layer must not be in place.

    Bottoms: x, and optionally m, of any shapes that can be broadcast. Tops: one, of the larger extent along each axis.

    Trained blobs: with one bottom m, initially 0; with two none.

    Keras weights: with one bottom ``factor``, with the axes of the top in the order of the tensor.

    Source: ``src/caffe/layers/mul_layer.cpp`` of github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)
    reads_unknown: ClassVar[tuple[str, ...]] = ("mul_param",)

    shape: tuple[int, ...] | None = None

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``mul_param``, unless there are two bottoms; check that the layer is not in place."""
        if proto.tops[0] == proto.bottoms[0]:
            raise LayerError(f"Mul must not be computed in place: give its top another name than {proto.tops[0]!r}")
        shape = proto.extra.block("mul_param").only("mul_shape").whole_numbers("mul_shape", least=1)
        return cls(shape=None if len(proto.bottoms) > 1 else shape)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the larger extent along each axis."""
        x, m = self._both(inputs)
        top: list[int | None] = []
        for a, b in zip(_padded(x, len(m)), _padded(m, len(x)), strict=True):
            if a is not None and b is not None and a != b and 1 not in (a, b):
                raise LayerError(
                    f"with axes aligned from the last one on, the extents must be equal, or one of them 1: "
                    f"{format_shape(x)} and {format_shape(m)} do not fit"
                )
            larger = a if b in (1, None) and a != 1 else b
            top.append(larger)
        return (tuple(top),)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return m, if there is one bottom."""
        del inputs
        return () if self.shape is None else (BlobSpec(name="factor", shape=self.shape, filler=Filler()),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch if a factor without a batch axis is the same for all items; else fix the batch size."""
        if self.shape is not None:
            rank = len(inputs[0])
            apart = len(self.shape) > rank or (len(self.shape) == rank and self.shape[:1] != (1,))
            return Batch.FIXED if apart else Layer.trace_batch(self, batched, inputs, outputs)
        if all(batched):
            same_rank = len({len(s) for s in inputs}) == 1
            return Layer.trace_batch(self, batched, inputs, outputs) if same_rank else Batch.FIXED
        rank, pairs = len(outputs[0]), list(zip(inputs, batched, strict=True))
        broadcast = all(len(s) < rank or s[0] == 1 for s, is_batch in pairs if not is_batch)
        kept = all(len(s) == rank and s[0] == outputs[0][0] for s, is_batch in pairs if is_batch)
        return Batch.kept_if(broadcast and kept)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use one layout for both, taken from a bottom that has all axes of the top."""
        rank = outputs[0].rank
        largest = [v for v in inputs if v.rank == rank]
        if not largest or not rank:
            return Layer.arrange(self, inputs, outputs)
        whole = [v for v in largest if v.shape == outputs[0].shape]
        layout = agreed_layout(whole or largest)
        own = [_padded(v.shape, rank) for v in inputs]
        if layout.blocks and any(s[1] != 1 and v.rank < rank for s, v in zip(own, inputs, strict=True)):
            layout = Layout.plain(2)  # a blob of one axis can only be in Caffe's order
        return Arrangement(inputs=tuple(_behind(layout, v.shape, rank) for v in inputs), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' Multiply if both bottoms have all axes and the same batch size; else a runtime layer."""
        layout, rank = ctx.outputs[0].layout, ctx.outputs[0].rank
        if self.shape is not None:
            shape = _padded(self.shape, rank) if self.shape else ()
            extents = tuple(shape[a] or 0 for a in layout.axes) if shape else ()
            return runtime("MultiplyByWeight", extents)(inputs[0])
        same_items = all(v.rank == rank and v.shape[:1] == ctx.outputs[0].shape[:1] for v in inputs)
        if rank > 1 and same_items and layout.axes[0] == 0:
            return keras("Multiply")(*inputs)
        missing = tuple(tuple(i for i, a in enumerate(layout.axes) if a < rank - v.rank) for v in inputs)
        return runtime("MultiplyBroadcast", missing=missing if any(missing) else OMIT)(*inputs)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Convert m, with all axes of the top in the order of the tensor."""
        if not blobs:
            return {}
        layout, rank = ctx.outputs[0].layout, ctx.outputs[0].rank
        array = blobs[0].array
        if array.ndim:
            array = array.reshape((1,) * (rank - array.ndim) + array.shape).transpose(layout.axes)
            if layout.blocks and array.shape[1] != 1:  # a flattened blob has two axes, the batch first
                views = [v for row in array for v in layout.ordered_views(row)]
                return {"factor": blobs[0].joined(views, array.shape)}
        return {"factor": blobs[0].weight(array)}

    def _both(self, inputs: Sequence[Shape]) -> tuple[Shape, Shape]:
        return inputs[0], inputs[1] if self.shape is None else self.shape


def _padded(shape: Shape, rank: int) -> Shape:
    """Return ``shape`` with axes of extent 1 added in front, up to ``rank`` axes."""
    return (1,) * (rank - len(shape)) + tuple(shape)


def _behind(layout: Layout, shape: Shape, rank: int) -> Layout:
    """Return the layout of a blob of ``shape`` that fits ``layout``, which has ``rank`` axes."""
    missing = rank - len(shape)
    blocks = layout.blocks if missing == 0 and len(shape) > 1 and shape[1] != 1 else ()
    return Layout(tuple(a - missing for a in layout.axes if a >= missing), blocks)
