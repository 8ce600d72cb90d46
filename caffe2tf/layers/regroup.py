"""The algebra of reshapes: which layout a blob has after its axes were split or joined and its values stayed put."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeAlias

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import Construct, Expr, keras, runtime
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Block, Layout
from caffe2tf.ir.shape import Shape, canonical_axis
from caffe2tf.ir.value import Value

__all__ = ["UNSETTLED", "Extents", "Regroup", "axis_of", "is_known", "regroup", "reshaping", "revealed", "stand_ins"]

Extents: TypeAlias = tuple[int, ...]
"""Extents along axes, with a stand-in for each one that is known only at run time."""

Run: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
"""Axes of a blob, and the axes that they become."""

# Mersenne primes, all larger than any extent: products of extents cancel as they should, and show what is unknown.
_PRIMES = tuple((1 << p) - 1 for p in (61, 89, 107, 127, 521, 607, 1279, 2203, 2281, 3217, 4253, 4423))
UNSETTLED = (1 << 9689) - 1
"""Stand-in for an extent that only the running network can work out."""


def axis_of(shape: Shape, axis: int, field: str) -> int:
    """The non-negative form of ``axis``; raises LayerError, naming the parameter ``field``, where there is none."""
    try:
        return canonical_axis(axis, len(shape))
    except ValueError as e:
        raise LayerError(f"{field}: {e}") from None


def stand_ins(shape: Shape) -> Extents:
    """``shape`` with a stand-in, its own for each axis, in place of extents known only at run time."""
    if any(d is None for d in shape[len(_PRIMES) :]):
        raise LayerUnsupportedError(f"beyond axis {len(_PRIMES) - 1} all extents must be known before the network runs")
    return tuple(_PRIMES[axis] if d is None else d for axis, d in enumerate(shape))


def is_known(extent: int) -> bool:
    """Whether an extent, or a product of extents, is free of stand-ins."""
    return extent < _PRIMES[0]


def revealed(extents: Sequence[int]) -> Shape:
    """The shape that ``extents`` stand for."""
    return tuple(d if is_known(d) else None for d in extents)


class Regroup(Layer):
    """A layer that gives its bottom's values other axes; Caffe's order of the values stays."""

    __slots__ = ()

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Always."""
        return True

    @abstractmethod
    def top(self, bottom: Extents) -> Extents:
        """The top's extents; raises LayerError where the parameters do not fit the bottom's."""

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The new axes."""
        return (revealed(self.top(stand_ins(inputs[0]))),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Whatever order of the values a plain reshape of the tensor can keep."""
        source = stand_ins(inputs[0].shape)
        before, after = regroup(inputs[0].layout, source, self.top(source))
        return Arrangement(inputs=(before,), outputs=(after,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Reshape or Flatten; nothing where the tensor has the wanted shape already."""
        x, y = inputs[0], ctx.outputs[0]
        source = stand_ins(x.shape)
        target = self.top(source)
        before = tuple(source[a] for a in x.layout.axes)
        after = tuple(target[a] for a in y.layout.axes)
        if before == after:
            return x
        batch_apart = x.layout.axes[:1] == y.layout.axes[:1] == (0,) and source[0] == target[0]
        return reshaping(before, after, batch_apart=batch_apart)(x)


def regroup(layout: Layout, source: Extents, target: Extents) -> tuple[Layout, Layout]:
    """How to read a blob that arrives in ``layout``, and how a plain reshape of its tensor then holds the result.

    Args:
        layout: the order of the values at hand.
        source: extents in Caffe's axes.
        target: Caffe's extents afterwards.

    Returns:
        The layout to ask for (the one at hand wherever that is possible), and the layout of the result.
    """
    if source == target:
        return layout, layout
    after = _as_it_stands(layout, source, target)
    if after is not None:
        return layout, after
    # The values must be reordered in any case: into the order that makes the result the usual one.
    backwards = [(new, old) for old, new in _runs(source, target)]
    for wanted in _favourites(len(target)):
        before = _carried(wanted.axes, backwards, len(source))
        if before is not None:
            return before, wanted
    return Layout.plain(len(source)), Layout.plain(len(target))


def reshaping(before: Sequence[int], after: Sequence[int], *, batch_apart: bool) -> Construct:
    """The layer that gives a tensor of extents ``before`` the extents ``after``, both in the tensor's axis order.

    Args:
        before: with stand-ins.
        after: with stand-ins.
        batch_apart: axis 0 stays what it is, so that its extent need not be known.
    """
    unknown = [d for d in after[1:] if not is_known(d)]
    if batch_apart and len(before) > len(after) == 2:
        return keras("Flatten")
    if batch_apart and len(unknown) < 2:
        return keras("Reshape", tuple(d if is_known(d) else -1 for d in after[1:]))
    copied = tuple(before.index(d) for d in after if not is_known(d) and d in before)
    shape = tuple(d if is_known(d) else 0 if d in before else -1 for d in after)
    if shape.count(-1) > 1:
        raise LayerUnsupportedError("at most one extent may be left to be worked out when the network runs")
    return runtime("FullReshape", shape, *([copied] if copied else []))


def _as_it_stands(layout: Layout, source: Extents, target: Extents) -> Layout | None:
    """The layout that the result of a plain reshape has; None where no layout says what its order is."""
    if len(layout.blocks) > 1:
        return None
    dims, order = _unfolded(layout, source)
    if len(target) == 2 and dims[:1] == target[:1] and order[0] == 0 and all(map(is_known, dims[1:])):
        return Layout.flat([Block.of(dims[1:], [axis - 1 for axis in order[1:]])])
    return _carried(order, _runs(dims, target), len(target))


def _unfolded(layout: Layout, source: Extents) -> tuple[Extents, tuple[int, ...]]:
    """Extents and tensor order with a flattened axis taken apart again into those it came from."""
    if not layout.blocks:
        return source, layout.axes
    (block,) = layout.blocks
    return (source[0], *block.dims), (0, *(axis + 1 for axis in block.order))


def _runs(source: Extents, target: Extents) -> list[Run]:
    """The shortest runs of axes that hold equally many values before and after.

    Axes of extent 1 are in none of them, for they may stand anywhere; except axis 0 where it is kept: it is the batch.
    """
    kept = int(source[:1] == target[:1] != ())
    runs: list[Run] = [((0,), (0,))] * kept
    left = [axis for axis, d in enumerate(source) if d != 1 and axis >= kept]
    right = [axis for axis, d in enumerate(target) if d != 1 and axis >= kept]
    old: list[int] = []
    new: list[int] = []
    while left or right:
        many, wanted = math.prod(source[a] for a in old), math.prod(target[a] for a in new)
        if left and (many <= wanted or not right):
            old.append(left.pop(0))
        else:
            new.append(right.pop(0))
        if math.prod(source[a] for a in old) == math.prod(target[a] for a in new):
            runs.append((tuple(old), tuple(new)))
            old, new = [], []
    return [*runs, (tuple(old), tuple(new))] if old or new else runs


def _carried(order: Sequence[int], runs: Sequence[Run], rank: int) -> Layout | None:
    """The layout of the result, of ``rank`` axes, where each run stands together and in Caffe's order; else None."""
    becomes = {old[0]: (old, new) for old, new in runs if old}
    held = {axis for old, _ in runs for axis in old}
    rest = [axis for axis in order if axis in held]
    result: list[int] = []
    while rest:
        old, new = becomes.get(rest[0], ((), ()))
        if not old or tuple(rest[: len(old)]) != old:
            return None
        result += new
        rest = rest[len(old) :]
    return _with_ones(result, rank)


def _with_ones(order: Sequence[int], rank: int) -> Layout:
    """``order`` with the axes missing from it, whose extents are 1, put where they make the most usual layout."""
    for layout in _favourites(rank):
        if [axis for axis in layout.axes if axis in order] == list(order):
            return layout
    axes = list(order)
    for axis in range(rank):
        if axis not in order:
            axes.insert(axes.index(axis - 1) + 1 if axis else 0, axis)
    return Layout(tuple(axes))


def _favourites(rank: int) -> tuple[Layout, Layout]:
    """What the layers after it would like best: channels last where Caffe itself names the axes."""
    both = Layout.channels_last(rank), Layout.plain(rank)
    return both if rank >= 4 else (both[1], both[0])
