"""Transposition of large arrays at the speed of memory, by touching each cache line and page once.

Caffe stores weights as (out, in, ...), Keras as (..., in, out). A plain copy of such a view reads the source with a
stride of one filter, so that every value is a cache miss. Here the source is first copied in its own order into a tile,
and the tile is then copied to its place. Both are single calls of NumPy on millions of bytes. NumPy releases the
interpreter lock while it copies; threads that need the lock for every few kilobytes would wait for each other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from caffe2tf.ir.weight import Array

__all__ = ["Region", "copy_blocked", "merge_axes", "split_regions"]

TILE = 1 << 19  # values in a tile: 2 MiB of float32
TILE_WIDTH = 4096  # extent of a tile along the fastest axis of the result; a cache line for each value is 256 KiB
LINE = 64  # bytes of a cache line
SMALL = 1 << 15  # values that fit into any second-level cache: 128 KiB of float32
SHORTEST_RUN = 1 << 14  # bytes; with shorter runs, the write calls take longer than scattered reads


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """A block of a part of a weight.

    Attributes:
        view: the source values of the block.
        starts: the start of the block along each axis of `full`.
        full: the shape of the whole part, with as many axes as `view`.
    """

    view: Array
    starts: tuple[int, ...]
    full: tuple[int, ...]

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Yield the runs of the block that are contiguous in the part: (position in part, position in block, length).

        All three count values, in row-major order.
        """
        shape = self.view.shape
        cut = max((i for i, n in enumerate(shape) if n != self.full[i]), default=0)
        strides = [math.prod(self.full[i + 1 :]) for i in range(len(shape))]
        first = sum(start * stride for start, stride in zip(self.starts, strides, strict=True))
        length = math.prod(shape[cut:])
        for number, index in enumerate(np.ndindex(shape[:cut])):
            position = first + sum(i * stride for i, stride in zip(index, strides, strict=False))
            yield position, number * length, length


def merge_axes(view: Array) -> Array:
    """Return the same values in the same row-major order with as few axes as the strides allow, without a copy.

    The result of a contiguous view, or of a single value, has one axis.
    """
    shape: list[int] = []
    strides: list[int] = []
    for extent, stride in zip(view.shape, view.strides, strict=True):
        if extent == 1:
            continue
        if strides and strides[-1] == extent * stride:
            shape[-1] *= extent
            strides[-1] = stride
        else:
            shape.append(extent)
            strides.append(stride)
    return view.reshape(shape or [view.size])


def copy_blocked(view: Array, out: Array) -> None:
    """Copy ``view`` into ``out`` (same shape, any strides, cast to its dtype), tile by tile if that is faster.

    Raises:
        ValueError: the shapes differ.
    """
    if view.shape != out.shape:
        raise ValueError(f"cannot copy shape {view.shape} to shape {out.shape}")
    if _plain_is_quick(view):
        np.copyto(out, view, casting="same_kind")
        return
    tile = _tile_shape(view)
    # The outermost loop runs over the axis of the largest source stride, so that pages are read once, in file order.
    order = sorted(range(view.ndim), key=lambda axis: -abs(view.strides[axis]))
    ranges = [range(0, view.shape[axis], tile[axis]) for axis in order]
    index = [slice(None)] * view.ndim
    for starts in itertools.product(*ranges):
        for axis, start in zip(order, starts, strict=True):
            index[axis] = slice(start, start + tile[axis])
        box = tuple(index)
        np.copyto(out[box], _staged(view[box]), casting="same_kind")


def _staged(view: Array) -> Array:
    """Return a copy in the order of the source, so that the source is read sequentially.

    The stride along the slowest axis of the source, which is usually the fastest of the result, is a cache line longer
    than necessary. With a stride that is a power of two, all values of a line of the result would compete for the same
    set of the cache.
    """
    order = sorted(range(view.ndim), key=lambda axis: -abs(view.strides[axis]))
    shape = [view.shape[axis] for axis in order]
    row = math.prod(shape[1:]) + LINE // view.itemsize
    memory = np.empty(shape[0] * row, dtype=view.dtype)
    strides = [row, *(math.prod(shape[axis + 1 :]) for axis in range(1, view.ndim))]
    tile: Array = np.ndarray(shape, view.dtype, memory, 0, [step * view.itemsize for step in strides])
    np.copyto(tile, view.transpose(order))
    return tile.transpose(np.argsort(order))


def _plain_is_quick(view: Array) -> bool:
    """Return whether NumPy's own copy already reads whole cache lines, or the source fits into the cache."""
    if view.ndim < 2 or view.size <= min(SMALL, TILE):
        return True
    return abs(view.strides[-1]) == view.itemsize and view.shape[-1] * view.itemsize >= LINE


def _tile_shape(view: Array) -> list[int]:
    """Return the extents of a tile: limited along the result's fastest axis, then as long as fits in source order."""
    tile = list(view.shape)
    tile[-1] = min(tile[-1], TILE_WIDTH)
    for axis in sorted(range(view.ndim - 1), key=lambda axis: -abs(view.strides[axis])):
        rest = math.prod(tile) // tile[axis]
        tile[axis] = min(tile[axis], max(1, TILE // rest))
    return tile


def split_regions(part: Array, limit: int) -> Iterator[Region]:
    """Cut a part into blocks whose float32 copies take at most ``limit`` bytes each.

    The cuts keep both the reads from the source and the runs in the result long.
    """
    if part.size:
        merged = merge_axes(part)
        yield from _split(merged, (0,) * merged.ndim, merged.shape, limit)


def _split(view: Array, starts: tuple[int, ...], full: tuple[int, ...], limit: int) -> Iterator[Region]:
    if view.size * 4 <= limit or view.size == 1:
        yield Region(view=view, starts=starts, full=full)
        return
    axis = _split_axis(view, limit)
    extent = view.shape[axis]
    count = math.ceil(extent / _fitting(view, axis, limit))
    step = math.ceil(extent / count)  # equal blocks, instead of full ones and a small rest
    for start in range(0, extent, step):
        box = (slice(None),) * axis + (slice(start, start + step),)
        moved = (
            *starts[:axis],
            start,
            *starts[axis + 1 :],
        )  # no axis is cut twice: after a cut, the block fits or the extent is 1
        yield from _split(view[box], moved, full, limit)


def _fitting(view: Array, axis: int, limit: int) -> int:
    """Return how many steps along ``axis`` fit into ``limit`` bytes, at least one."""
    step: int = view.size // view.shape[axis] * 4
    return max(1, limit // step)


def _split_axis(view: Array, limit: int) -> int:
    """Return the axis of the largest source stride among those that leave long runs in the result."""
    axes = [axis for axis in range(view.ndim) if view.shape[axis] > 1]
    good = [axis for axis in axes if _run_bytes(view.shape, axis, _fitting(view, axis, limit)) >= SHORTEST_RUN]
    if not good:
        return axes[0]  # a block that is cut along the outermost axis is one run
    return max(good, key=[abs(stride) for stride in view.strides].__getitem__)


def _run_bytes(shape: Sequence[int], axis: int, extent: int) -> int:
    return min(extent, shape[axis]) * math.prod(shape[axis + 1 :]) * 4
