"""Provenance of a Keras weight: which Caffe blobs it is made of, and how."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

from caffe2tf.ir.array import Array
from caffe2tf.ir.parameter import Member

__all__ = ["Origin", "Recipe", "StridedView", "blobs_of", "origin_of_views"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StridedView:
    """Values of one blob, in the order in which a strided view reads them.

    Attributes:
        blob: the Caffe blob that is viewed.
        offset: position of the first value in the blob, counted in values.
        shape: extents of the view.
        strides: for each axis of the view, the distance in the blob between neighbours, counted in values.
    """

    blob: Member
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, blob: Member, array: Array, view: Array) -> Self | None:
        """Return how ``view`` reads ``array``, the values of ``blob``; None if it is no view of that array.

        Args:
            blob: the identity of the blob.
            array: all values of the blob, contiguous.
            view: a slice, transposition or reshape of ``array``; or a copy, which gives None.
        """
        start, at = (a.__array_interface__["data"][0] for a in (array, view))
        if view.dtype != array.dtype or not start <= at < start + array.nbytes:
            return None
        step = array.itemsize
        return cls(
            blob=blob, offset=(at - start) // step, shape=view.shape, strides=tuple(s // step for s in view.strides)
        )

    def simplified(self) -> Self:
        """Return the view of the fewest axes that reads the same values in the same order.

        It has no axis of extent 1, and no two neighbouring axes that could be one. Two views read the same values in
        the same order if and only if they are equal once simplified.
        """
        axes: list[tuple[int, int]] = []
        for extent, stride in zip(self.shape, self.strides, strict=True):
            if extent == 1:
                continue
            if axes and axes[-1][1] == extent * stride:
                axes[-1] = (axes[-1][0] * extent, stride)
            else:
                axes.append((extent, stride))
        return replace(self, shape=tuple(e for e, _ in axes), strides=tuple(s for _, s in axes))

    def continued_by(self, other: Self) -> bool:
        """Return whether ``other`` goes on along axis 0 where this view ends."""
        if not (self.shape and other.shape) or self.blob != other.blob:
            return False
        same_rows = (self.shape[1:], self.strides) == (other.shape[1:], other.strides)
        return same_rows and other.offset == self.offset + self.shape[0] * self.strides[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A computation that made new values out of blobs.

    Attributes:
        name: what is computed; recipes of one name compute the same from equal blobs if `depends` is equal.
        blobs: the Caffe blobs that go in, in order.
        depends: everything besides the blobs that the result depends on.
    """

    name: str
    blobs: tuple[Member, ...]
    depends: Hashable = None


Origin: TypeAlias = "tuple[StridedView, ...] | Recipe"
"""Views of blobs, one after the other, or a computation. Weights of equal shape and origin hold the same values."""


def origin_of_views(blob: Member, array: Array, views: Sequence[Array]) -> Origin | None:
    """Return the origin of a weight whose values are those of ``views`` of ``array``; None if one is a copy."""
    found: list[StridedView] = []
    for view in views:
        strided = StridedView.of(blob, array, view)
        if strided is None:
            return None
        if found and found[-1].continued_by(strided):
            found[-1] = replace(found[-1], shape=(found[-1].shape[0] + strided.shape[0], *strided.shape[1:]))
        else:
            found.append(strided)
    return tuple(v.simplified() for v in found)


def blobs_of(origin: Origin) -> frozenset[Member]:
    """Return the blobs that a weight of this origin is made of."""
    return frozenset(origin.blobs if isinstance(origin, Recipe) else (v.blob for v in origin))
