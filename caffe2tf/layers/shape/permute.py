"""Permute: the axes of a blob in another order (SSD)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Permute"]


@register("Permute")
@dataclass(frozen=True, slots=True, kw_only=True)
class Permute(Layer):
    """Axis i of the top is axis ``order[i]`` of the bottom.

    The converted network moves no values for this layer. Only the layout changes: which of Caffe's axes each axis of
    the tensor holds. The values are transposed later, if a layer or the reader of an output needs them in another
    order. SSD's order ``0, 2, 3, 1`` is that of a channels-last tensor and needs no transposition.

    If every axis keeps its place, the top shares the memory of the bottom. If the layer works in place, Caffe's CPU
    code reads values that it has already overwritten. The converted network gives the same result. (On a GPU, the
    result of Caffe is not defined.)

    | parameter (``permute_param``) | default | meaning |
    |---|---|---|
    | order | none | axes of the bottom, each at most once; axes that are not named follow in their order |

    Bottoms: one, of any shape. Tops: one, with the extents of the bottom in the new order. Trained blobs: none.

    Source: ``src/caffe/layers/permute_layer.cpp`` of github.com/weiliu89/caffe.
    """

    order: tuple[int, ...]
    in_place: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``permute_param``, and whether the layer works in place."""
        order = tuple(proto.message.permute_param.order)
        repeated = sorted({axis for axis in order if order.count(axis) > 1})
        if repeated:
            listed = ", ".join(map(str, repeated))
            raise LayerError(f"permute_param.order must name each axis at most once; it repeats {listed}")
        return cls(order=order, in_place=not set(proto.tops).isdisjoint(proto.bottoms))

    @property
    def moves_nothing(self) -> bool:
        """Whether every axis keeps its place."""
        return self.order == tuple(range(len(self.order)))

    def remarks(self) -> tuple[str, ...]:
        """Warn about a layer that works in place, which is most likely a mistake in the definition."""
        if self.moves_nothing or not self.in_place:
            return ()
        remark = (
            "in place, Caffe's CPU code reads values that it has already overwritten, and the converted network gives "
            "the same result; for a plain permutation, give the top another name"
        )
        return (remark,)

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Return whether every axis keeps its place."""
        del bottoms, tops
        return self.moves_nothing

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the extents in the new order."""
        shape = inputs[0]
        for axis in self.order:
            if axis >= len(shape):
                raise LayerError(
                    f"permute_param.order must name axes of the bottom ({format_shape(shape)}), "
                    f"0 to {len(shape) - 1}, not {axis}"
                )
        whole = self._whole(len(shape))
        if self.in_place and not self.moves_nothing:
            known(shape[int(whole[0] == 0) :], "the extents of a blob that Permute changes in place")
        return (tuple(shape[axis] for axis in whole),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless axis 0 moves."""
        del inputs, outputs
        return Batch.kept_if(all(batched) and self.order[:1] in ((), (0,)))

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the tensor, and give its axes their new numbers."""
        layout, order = inputs[0].layout, self._whole(inputs[0].rank)
        if self.moves_nothing:
            return Arrangement(inputs=(layout,), outputs=(layout,))
        if self.in_place:
            return Layer.arrange(self, inputs, outputs)
        if layout.blocks:  # a layout has blocks for axis 1 only, and this axis gets another number
            layout = Layout.plain(2)
        after = Layout(tuple(order.index(axis) for axis in layout.axes))
        return Arrangement(inputs=(layout,), outputs=(after,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit nothing, as only the layout changes; in place, a runtime layer that does what Caffe's loop does."""
        del ctx
        if self.in_place and not self.moves_nothing:
            return runtime("PermuteInPlace", self._whole(inputs[0].rank))(inputs[0])
        return inputs[0]

    def _whole(self, rank: int) -> tuple[int, ...]:
        """Return `order` followed by the axes that it does not name."""
        return (*self.order, *(axis for axis in range(rank) if axis not in self.order))
