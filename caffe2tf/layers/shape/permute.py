"""Permute: the axes of a blob in another order."""

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
    """Axis i of the output is axis ``order[i]`` of the input.

    | parameter | default | meaning |
    |---|---|---|
    | order | none: every axis stays | axes of the input, each at most once; those not named follow in their order |

    No values move here: what changes is which of Caffe's axes an axis of the tensor holds. Where a later layer, or the
    reader of an output, wants another order than that, the values are brought into it there. SSD's ``0, 2, 3, 1`` is
    the order in which a channels-last tensor lies anyway.

    Computed in place, Caffe's loop reads values that it has overwritten, and so does the converted network (on a GPU,
    what Caffe gives then is left to chance).
    """

    order: tuple[int, ...]
    in_place: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The order; no axis twice."""
        order = tuple(proto.message.permute_param.order)
        repeated = sorted({axis for axis in order if order.count(axis) > 1})
        if repeated:
            listed = ", ".join(map(str, repeated))
            raise LayerError(f"permute_param.order must name each axis at most once; more than once there is {listed}")
        return cls(order=order, in_place=not set(proto.tops).isdisjoint(proto.bottoms))

    @property
    def moves_nothing(self) -> bool:
        """Whether every axis stays where it is."""
        return self.order == tuple(range(len(self.order)))

    def remarks(self) -> tuple[str, ...]:
        """What is most likely a mistake of the definition."""
        if self.moves_nothing or not self.in_place:
            return ()
        remark = (
            "in place, Caffe's loop on a CPU reads values that it has overwritten, and what is converted gives the "
            "same; if the axes are to be moved and nothing else, give the top another name"
        )
        return (remark,)

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Where every axis stays."""
        del bottoms, tops
        return self.moves_nothing

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The extents in the new order."""
        shape = inputs[0]
        for axis in self.order:
            if axis >= len(shape):
                raise LayerError(
                    f"permute_param.order must name axes of the bottom, 0 to {len(shape) - 1}, not {axis}: "
                    f"the bottom is {format_shape(shape)}"
                )
        whole = self._whole(len(shape))
        if self.in_place and not self.moves_nothing:
            known(shape[int(whole[0] == 0) :], "the extents that a Permute moves in place")
        return (tuple(shape[axis] for axis in whole),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Unless axis 0 moves."""
        del inputs, outputs
        return Batch.kept_if(all(batched) and self.order[:1] in ((), (0,)))

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """The tensor stays as it is, and its axes are called by their new numbers."""
        layout, order = inputs[0].layout, self._whole(inputs[0].rank)
        if self.moves_nothing:
            return Arrangement(inputs=(layout,), outputs=(layout,))
        if self.in_place:
            return Layer.arrange(self, inputs, outputs)
        if layout.blocks:  # these belong to axis 1, which is no longer axis 1
            layout = Layout.plain(2)
        after = Layout(tuple(order.index(axis) for axis in layout.axes))
        return Arrangement(inputs=(layout,), outputs=(after,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """The bottom itself; computed in place, a layer that does what Caffe's loop does."""
        del ctx
        if self.in_place and not self.moves_nothing:
            return runtime("PermuteInPlace", self._whole(inputs[0].rank))(inputs[0])
        return inputs[0]

    def _whole(self, rank: int) -> tuple[int, ...]:
        """`order` with the axes that it does not name."""
        return (*self.order, *(axis for axis in range(rank) if axis not in self.order))
