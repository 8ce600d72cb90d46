"""A Keras weight as views of Caffe blobs: nothing is copied until a writer asks for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Releasable", "Weight"]

Array = npt.NDArray[Any]


class Releasable(Protocol):
    """Memory that can be given back to the system once it has been read (a mapped blob)."""

    def release(self) -> None:
        """Give back all of it."""

    def release_range(self, start: int, stop: int) -> None:
        """Give back elements ``start`` to ``stop``, counted in the order of the file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weight:
    """One named Keras weight, float32, in Keras' layout.

    Each of `parts` is an array, in general a transposed and strided view of a mapped blob. Their values in row-major
    order, one part after the other, are the weight's values in row-major order.

    Attributes:
        shape: the shape of the Keras weight.
        parts: views whose sizes add up to the size of `shape`.
        sources: what may be released once the weight is written.
    """

    shape: tuple[int, ...]
    parts: tuple[Array, ...]
    sources: tuple[Releasable, ...] = ()

    @classmethod
    def of(cls, view: Array, shape: Sequence[int] | None = None, *, sources: Sequence[Releasable] = ()) -> Self:
        """A weight that is one view; ``shape`` where it differs from the view's own (same row-major order)."""
        final = tuple(view.shape if shape is None else shape)
        return cls(shape=final, parts=(view,), sources=tuple(sources))

    @property
    def size(self) -> int:
        """Count of values."""
        return math.prod(self.shape)

    def array(self) -> npt.NDArray[np.float32]:
        """All of it as one new float32 array: for small weights and tests, the writers go block by block."""
        flat = [np.ascontiguousarray(p, dtype=np.float32).reshape(-1) for p in self.parts]
        return (np.concatenate(flat) if len(flat) != 1 else flat[0].copy()).reshape(self.shape)
