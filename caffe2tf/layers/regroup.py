"""Layout algebra of reshapes: the layout of a blob after its axes are split or joined."""

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
"""Extents along axes, with a placeholder for each one that is known only at run time."""

Run: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
"""Axes of a blob, and the axes that they become."""

# Mersenne primes larger than any extent serve as placeholders: products of extents still cancel correctly, and any
# product that contains an unknown extent can be recognised by its size.
_PRIMES = tuple((1 << p) - 1 for p in (61, 89, 107, 127, 521, 607, 1279, 2203, 2281, 3217, 4253, 4423))
UNSETTLED = (1 << 9689) - 1
"""Placeholder for an extent that can be computed only when the network runs."""


def axis_of(shape: Shape, axis: int, field: str) -> int:
    """Return the non-negative form of an axis.

    Args:
        shape: the shape of the blob.
        axis: the axis; negative numbers count from the end.
        field: the parameter, for the message.

    Raises:
        LayerError: the blob has no such axis.
    """
    try:
        return canonical_axis(axis, len(shape))
    except ValueError as e:
        raise LayerError(f"{field}: {e}") from None


def stand_ins(shape: Shape) -> Extents:
    """Replace each unknown extent by a placeholder, a different one for each axis.

    Raises:
        LayerUnsupportedError: an extent is unknown beyond the last axis for which there is a placeholder.
    """
    if any(d is None for d in shape[len(_PRIMES) :]):
        raise LayerUnsupportedError(f"beyond axis {len(_PRIMES) - 1} all extents must be known before the network runs")
    return tuple(_PRIMES[axis] if d is None else d for axis, d in enumerate(shape))


def is_known(extent: int) -> bool:
    """Return whether an extent, or a product of extents, contains no placeholder."""
    return extent < _PRIMES[0]


def revealed(extents: Sequence[int]) -> Shape:
    """Return the shape with None in place of placeholders."""
    return tuple(d if is_known(d) else None for d in extents)


class Regroup(Layer):
    """A layer that changes the axes of its bottom and keeps Caffe's order of the values (Reshape, Flatten)."""

    __slots__ = ()

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Return True: Caffe does not copy the values."""
        return True

    @abstractmethod
    def top(self, bottom: Extents) -> Extents:
        """Return the extents of the top.

        Raises:
            LayerError: the parameters do not fit the extents of the bottom.
        """

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the new axes."""
        return (revealed(self.top(stand_ins(inputs[0]))),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout if a reshape of the tensor gives a layout, too; else ask for one where it does."""
        source = stand_ins(inputs[0].shape)
        before, after = regroup(inputs[0].layout, source, self.top(source))
        return Arrangement(inputs=(before,), outputs=(after,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Reshape or Flatten; nothing if the tensor already has the shape."""
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
    """Choose the layout in which to read a blob so that a reshape of its tensor has a layout again.

    Args:
        layout: the present layout of the blob.
        source: its extents, in Caffe's axis order.
        target: the extents after the reshape, in Caffe's axis order.

    Returns:
        The layout to read the blob in, the present one if possible, and the layout of the result.
    """
    if source == target:
        return layout, layout
    after = _as_it_stands(layout, source, target)
    if after is not None:
        return layout, after
    # A transposition is needed anyway: choose the one that gives the result its usual layout.
    backwards = [(new, old) for old, new in _runs(source, target)]
    for wanted in _favourites(len(target)):
        before = _carried(wanted.axes, backwards, len(source))
        if before is not None:
            return before, wanted
    return Layout.plain(len(source)), Layout.plain(len(target))


def reshaping(before: Sequence[int], after: Sequence[int], *, batch_apart: bool) -> Construct:
    """Return the Keras layer that reshapes a tensor.

    Args:
        before: extents of the tensor, in its own axis order, with placeholders.
        after: extents of the result.
        batch_apart: whether axis 0 keeps its extent, which then need not be known.

    Raises:
        LayerUnsupportedError: more than one extent would have to be inferred when the network runs.
    """
    unknown = [d for d in after[1:] if not is_known(d)]
    if batch_apart and len(before) > len(after) == 2:
        return keras("Flatten")
    if batch_apart and len(unknown) < 2:
        return keras("Reshape", tuple(d if is_known(d) else -1 for d in after[1:]))
    copied = tuple(before.index(d) for d in after if not is_known(d) and d in before)
    shape = tuple(d if is_known(d) else 0 if d in before else -1 for d in after)
    if shape.count(-1) > 1:
        raise LayerUnsupportedError("at most one extent may be unknown until the network runs")
    return runtime("FullReshape", shape, *([copied] if copied else []))


def _as_it_stands(layout: Layout, source: Extents, target: Extents) -> Layout | None:
    """Return the layout of the reshaped tensor; None if no layout describes the order of its values."""
    if len(layout.blocks) > 1:
        return None
    dims, order = _unfolded(layout, source)
    if len(target) == 2 and dims[:1] == target[:1] and order[0] == 0 and all(map(is_known, dims[1:])):
        return Layout.flat([Block.of(dims[1:], [axis - 1 for axis in order[1:]])])
    return _carried(order, _runs(dims, target), len(target))


def _unfolded(layout: Layout, source: Extents) -> tuple[Extents, tuple[int, ...]]:
    """Return extents and tensor order with a flattened axis split into the axes that it was made of."""
    if not layout.blocks:
        return source, layout.axes
    (block,) = layout.blocks
    return (source[0], *block.dims), (0, *(axis + 1 for axis in block.order))


def _runs(source: Extents, target: Extents) -> list[Run]:
    """Return the shortest runs of axes with the same number of values before and after the reshape.

    Axes of extent 1 belong to no run, because their position does not matter. Axis 0 is an exception if its extent is
    kept, because it is the batch.
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
    """Return the layout of the result if the axes of each run are adjacent and in Caffe's order; else None."""
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
    """Insert the missing axes, all of extent 1, where they give the most usual layout."""
    for layout in _favourites(rank):
        if [axis for axis in layout.axes if axis in order] == list(order):
            return layout
    axes = list(order)
    for axis in range(rank):
        if axis not in order:
            axes.insert(axes.index(axis - 1) + 1 if axis else 0, axis)
    return Layout(tuple(axes))


def _favourites(rank: int) -> tuple[Layout, Layout]:
    """Return the usual layouts, the preferred one first: channels last from four axes on."""
    both = Layout.channels_last(rank), Layout.plain(rank)
    return both if rank >= 4 else (both[1], both[0])
