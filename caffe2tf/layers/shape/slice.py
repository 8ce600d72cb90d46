"""Slice: one blob, split into several along one axis."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Block, Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.regroup import axis_of
from caffe2tf.layers.shape.concat import axis_by_either_name

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Slice"]


@register("Slice")
@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Layer):
    """The bottom is split along one axis into as many slices as there are tops, in their order.

    With a single top, nothing is copied: the top shares the memory of the bottom.

    | parameter (``slice_param``) | default | meaning |
    |---|---|---|
    | axis | 1 | axis along which the bottom is split; may be negative |
    | slice_dim | 1 | old name of `axis`; not negative, and not together with `axis` |
    | slice_point | slices of equal extent | start of each slice except the first, in ascending order |

    Bottoms: one, of at least one axis. Tops: one or more, of the shape of the bottom except along `axis`. Trained
    blobs: none.

    Source: ``src/caffe/layers/slice_layer.cpp``.
    """

    tops: ClassVar[tuple[int, int | None]] = (1, None)

    axis: int
    points: tuple[int, ...]
    count: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``slice_param``, with the axis under its new name or its old one."""
        p = proto.message.slice_param
        points, count = tuple(p.slice_point), len(proto.tops)
        if points and len(points) != count - 1:
            raise LayerError(
                f"slice_param.slice_point must be given {count - 1} times (the number of tops minus 1) or not at all, "
                f"not {len(points)} times"
            )
        if any(a >= b for a, b in itertools.pairwise((0, *points))):
            listed = ", ".join(map(str, points))
            raise LayerError(f"slice_param.slice_point must be positive and ascending, not {listed}")
        old = p.slice_dim if p.HasField("slice_dim") else None
        axis = axis_by_either_name(p.axis if p.HasField("axis") else None, old, "slice")
        return cls(axis=axis, points=points, count=count)

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Return whether there is a single top, which Caffe does not copy."""
        return tops == 1

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom with another extent along the axis, for each slice."""
        shape = inputs[0]
        axis = axis_of(shape, self.axis, "slice_param.axis")
        return tuple((*shape[:axis], size, *shape[axis + 1 :]) for size in self._sizes(shape[axis]))

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless axis 0 is split."""
        axis = axis_of(inputs[0], self.axis, "slice_param.axis")
        return Layer.trace_batch(self, batched, inputs, outputs) if (axis != 0 or self.count == 1) else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout; along a flattened axis only if each slice of the blob is a slice of the tensor, too."""
        x = inputs[0]
        axis = axis_of(x.shape, self.axis, "slice_param.axis")
        if not x.layout.blocks or axis != 1:
            return Arrangement(inputs=(x.layout,), outputs=(x.layout,) * len(outputs))
        pieces = cut(x.layout.blocks, [size or 0 for size in self._sizes(x.shape[1])])
        if pieces is None:
            plain = Layout.plain(2)
            return Arrangement(inputs=(plain,), outputs=(plain,) * len(outputs))
        return Arrangement(inputs=(x.layout,), outputs=tuple(Layout.flat(p) for p in pieces))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit one runtime layer that returns all slices, as Keras has no such layer; nothing for a single top."""
        x = inputs[0]
        if self.count == 1:
            return x
        axis = axis_of(x.shape, self.axis, "slice_param.axis")
        sizes = [v.shape[axis] for v in ctx.outputs]
        points = self.points or tuple(itertools.accumulate(s for s in sizes[:-1] if s is not None))
        if len(points) != self.count - 1:
            return runtime("Slice", x.layout.tensor_axis(axis), pieces=self.count)(x)
        return runtime("Slice", x.layout.tensor_axis(axis), points)(x)

    def _sizes(self, extent: int | None) -> list[int | None]:
        """Return the extent of each slice."""
        if self.points:
            if extent is not None and self.points[-1] >= extent:
                last = self.points[-1]
                raise LayerError(
                    f"slice_param.slice_point must be less than the extent of the axis ({extent}), not {last}"
                )
            sizes = [b - a for a, b in itertools.pairwise((0, *self.points))]
            return [*sizes, None if extent is None else extent - self.points[-1]]
        if extent is None:
            return [None] * self.count
        if extent % self.count:
            raise LayerError(
                f"the extent of the axis ({extent}) must be a multiple of the number of tops ({self.count}), "
                "or slice_point must be given"
            )
        return [extent // self.count] * self.count


def cut(blocks: Sequence[Block], sizes: Sequence[int]) -> list[list[Block]] | None:
    """Split the blocks of a flattened axis into pieces.

    Args:
        blocks: the blocks of the axis, in order.
        sizes: the number of values in each piece.

    Returns:
        The blocks of each piece; None if a block that is not in Caffe's order would be split.
    """
    rest = list(blocks)
    pieces: list[list[Block]] = []
    for size in sizes:
        piece: list[Block] = []
        while (left := size - sum(b.size for b in piece)) > 0:
            block = rest.pop(0)
            if block.size > left:
                if not block.is_plain:
                    return None
                rest.insert(0, Block((block.size - left,), (0,)))
                block = Block((left,), (0,))
            piece.append(block)
        pieces.append(piece)
    return pieces
