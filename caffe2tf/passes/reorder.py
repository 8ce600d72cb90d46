"""Reorder: changes the layout of a blob. It is no layer of Caffe: `assign_layouts` adds it where layouts differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffe2tf.ir.expr import Call, Expr, Literal, keras, runtime
from caffe2tf.ir.layer import Arrangement, Context, Elementwise
from caffe2tf.ir.layout import Block, Layout
from caffe2tf.ir.value import Value
from caffe2tf.layers.regroup import reshaping, stand_ins

__all__ = ["Reorder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorder(Elementwise):
    """The same blob in another layout.

    Attributes:
        source: the layout that is read.
        target: the layout that is given.
    """

    source: Layout
    target: Layout

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Read layout `source`, give layout `target`."""
        del inputs, outputs
        return Arrangement(inputs=(self.source,), outputs=(self.target,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Permute for axes, also for those that a flattened axis is split into; Reshape if no value moves."""
        del ctx
        x, plain = inputs[0], Layout.plain(2)
        source, target = self.source, self.target
        if not (source.blocks or target.blocks):
            return _axes_moved(x, x, source, target)
        if target.axes != (0, 1):
            return _axes_moved(_values_moved(x, x, source, plain), x, plain, target)
        if source.axes != (0, 1):
            return _values_moved(_axes_moved(x, x, source, plain), x, plain, target)
        return _values_moved(x, x, source, target)


def _axes_moved(tensor: Expr, x: Value, source: Layout, target: Layout) -> Call:
    """``tensor``, which holds blob ``x`` in layout ``source``, with its axes in the order of ``target``."""
    order = tuple(source.axes.index(a) for a in target.axes)
    if order[0] != 0:
        return runtime("Transpose", order)(tensor)
    batch, *moved = (a for a in source.axes if x.shape[a] != 1 or a == source.axes[0])
    if [batch, *moved] == [a for a in target.axes if a == batch or a in moved]:
        extents = stand_ins(x.shape)
        before, after = (tuple(extents[a] for a in layout.axes) for layout in (source, target))
        return reshaping(before, after, batch_apart=True)(tensor)
    return keras("Permute", order[1:])(tensor)


def _values_moved(tensor: Expr, x: Value, source: Layout, target: Layout) -> Call:
    """``tensor``, which holds flattened blob ``x`` in layout ``source``, with its values as in ``target``."""
    extent = x.shape[1] or 0
    old, new = source.axis_blocks(1, extent), target.axis_blocks(1, extent)
    dims = _common_dims(old, new)
    if dims is None:
        return runtime("Reblock", _pairs(old), _pairs(new))(tensor)
    before, after = (b.order if b.dims == dims else tuple(range(len(dims))) for b in (old[0], new[0]))
    parts = keras("Reshape", tuple(dims[a] for a in before), role="split")(tensor)
    return keras("Flatten")(keras("Permute", tuple(before.index(a) + 1 for a in after), role="permute")(parts))


def _common_dims(old: Sequence[Block], new: Sequence[Block]) -> tuple[int, ...] | None:
    """The extents that both sides are permutations of; None if no transposition leads from one to the other."""
    if len(old) > 1 or len(new) > 1:
        return None
    (first,), (second,) = old, new
    if first.dims == second.dims or second.is_plain:
        return first.dims
    return second.dims if first.is_plain else None


def _pairs(blocks: Sequence[Block]) -> Literal:
    return tuple((b.dims, b.order) for b in blocks)
