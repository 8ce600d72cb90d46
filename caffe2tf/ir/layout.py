"""Layouts: the order in which a Keras tensor holds the values of a Caffe blob."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from caffe2tf.ir.shape import Shape

__all__ = ["Block", "Layout"]


@dataclass(frozen=True, slots=True)
class Block:
    """A range of values along a flattened axis, and the axes that were flattened into it.

    Caffe stores the values in row-major order of `dims`. The tensor stores them in row-major order of the same axes
    permuted by `order`. For example, ``Block((256, 6, 6), (1, 2, 0))`` is C, H, W in Caffe and H, W, C in the tensor.
    """

    dims: tuple[int, ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, dims: Sequence[int], order: Sequence[int]) -> Self:
        """Return the block in canonical form: axes of extent 1 are removed, adjacent axes that move together merged."""
        kept = [a for a in order if dims[a] != 1]
        groups: list[list[int]] = []
        ascending = [a for a in range(len(dims)) if dims[a] != 1]
        rank = {a: i for i, a in enumerate(ascending)}
        for axis in kept:
            if groups and rank[groups[-1][-1]] + 1 == rank[axis]:
                groups[-1].append(axis)
            else:
                groups.append([axis])
        by_caffe = sorted(groups)
        sizes = tuple(math.prod(dims[a] for a in g) for g in by_caffe) or (1,)
        return cls(sizes, tuple(by_caffe.index(g) for g in groups) or (0,))

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.dims)

    @property
    def is_plain(self) -> bool:
        """Whether the tensor has the values in Caffe's order."""
        return self.order == tuple(range(len(self.dims)))

    def view(self, array: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
        """Return a view of an array with one axis split, and permuted into the tensor's order.

        Args:
            array: an array whose `axis` is in Caffe's order.
            axis: the axis to split.
        """
        axis %= array.ndim
        split = array.reshape(array.shape[:axis] + self.dims + array.shape[axis + 1 :])
        order = [
            *range(axis),
            *(axis + o for o in self.order),
            *range(axis + len(self.dims), split.ndim),
        ]
        return split.transpose(order)

    def indices(self) -> npt.NDArray[np.intp]:
        """Return, for each position in the tensor, the position in Caffe's blob."""
        return self.view(np.arange(self.size), 0).reshape(-1)


@dataclass(frozen=True, slots=True)
class Layout:
    """The order of a blob's values in its Keras tensor.

    Attributes:
        axes: tensor axis ``i`` holds Caffe axis ``axes[i]``.
        blocks: the parts of Caffe axis 1 of a flattened blob whose values are not in Caffe's order; else empty.
    """

    axes: tuple[int, ...]
    blocks: tuple[Block, ...] = ()

    @classmethod
    def plain(cls, rank: int) -> Self:
        """Return Caffe's own order."""
        return cls(tuple(range(rank)))

    @classmethod
    def channels_last(cls, rank: int) -> Self:
        """Return N, spatial axes, C: NHWC for four axes; Caffe's own order for fewer than three axes."""
        return cls((0, *range(2, rank), 1)) if rank > 2 else cls.plain(rank)

    @classmethod
    def flat(cls, blocks: Sequence[Block]) -> Self:
        """Return the layout of a flattened blob of two axes, whose second one consists of `blocks`."""
        return cls((0, 1), () if all(b.is_plain for b in blocks) else tuple(blocks))

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.axes)

    @property
    def is_plain(self) -> bool:
        """Whether the tensor has the values in Caffe's order."""
        return not self.blocks and self.axes == tuple(range(len(self.axes)))

    def tensor_axis(self, axis: int) -> int:
        """Return the tensor axis that holds a Caffe axis."""
        return self.axes.index(axis % len(self.axes))

    def tensor_shape(self, shape: Shape) -> Shape:
        """Return the tensor's shape for a blob of this shape."""
        return tuple(shape[a] for a in self.axes)

    def axis_blocks(self, axis: int, extent: int) -> tuple[Block, ...]:
        """Return the blocks along a Caffe axis: those of a flattened axis 1, else one plain block."""
        if self.blocks and axis % self.rank == 1:
            return self.blocks
        return (Block((extent,), (0,)),)

    def indices(self) -> npt.NDArray[np.intp]:
        """Return, for each position along a flattened axis 1 of the tensor, the position in Caffe's blob."""
        offsets = np.cumsum([0, *(b.size for b in self.blocks)])
        return np.concatenate([b.indices() + o for b, o in zip(self.blocks, offsets, strict=False)])

    def ordered_views(self, array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Split ``array``, whose axis 0 is a flattened axis 1 in Caffe's order, into views in the tensor's order.

        The views one after the other hold ``array[layout.indices()]``, without a copy; a layout without blocks gives
        ``array`` itself.
        """
        if not self.blocks:
            return [array]
        ends = np.cumsum([b.size for b in self.blocks])
        return [b.view(array[end - b.size : end], 0) for b, end in zip(self.blocks, ends, strict=True)]

    def from_caffe(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bring an array from Caffe's order into the tensor's order."""
        array = array.transpose(self.axes)
        return array[:, self.indices()] if self.blocks else array

    def to_caffe(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bring an array from the tensor's order into Caffe's order."""
        if self.blocks:
            out = np.empty_like(array)
            out[:, self.indices()] = array
            return out
        return array.transpose(np.argsort(self.axes)) if self.axes else array
