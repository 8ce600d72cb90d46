"""A Keras weight as views of Caffe blobs. Its values are copied only when it is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import numpy.typing as npt

from caffe2tf.ir.array import Array

if TYPE_CHECKING:
    from caffe2tf.ir.origin import Origin

__all__ = ["Array", "Releasable", "Weight"]


class Releasable(Protocol):
    """Memory that can be returned to the operating system after it has been read (a memory-mapped blob)."""

    def release(self) -> None:
        """Return all of the memory to the system."""

    def release_range(self, start: int, stop: int) -> None:
        """Return the pages of values ``start`` to ``stop``, counted in the order of the file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weight:
    """The values of one Keras weight, float32, in Keras' layout.

    Each of `parts` is an array, usually a transposed and strided view of a memory-mapped blob. The parts one after the
    other, each in row-major order, hold the values of the weight in row-major order.

    Attributes:
        shape: the shape of the Keras weight.
        parts: arrays whose sizes add up to the size of `shape`.
        memory: memory that may be released once the weight is written.
        origin: which blobs the weight is made of and how; None if that is not known.
    """

    shape: tuple[int, ...]
    parts: tuple[Array, ...]
    memory: tuple[Releasable, ...] = ()
    origin: Origin | None = None

    @classmethod
    def of(cls, view: Array, shape: Sequence[int] | None = None, *, memory: Sequence[Releasable] = ()) -> Self:
        """Return a weight of one part and of no known origin; see `NodeBlob.weight` for one of a known origin.

        Args:
            view: the values.
            shape: the shape of the weight, if it is not that of ``view`` (same row-major order).
            memory: memory that may be released once the weight is written.
        """
        final = tuple(view.shape if shape is None else shape)
        return cls(shape=final, parts=(view,), memory=tuple(memory))

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    def array(self) -> npt.NDArray[np.float32]:
        """Return all values as a new float32 array. For small weights and tests: writers go block by block."""
        flat = [np.ascontiguousarray(p, dtype=np.float32).reshape(-1) for p in self.parts]
        return (np.concatenate(flat) if len(flat) != 1 else flat[0].copy()).reshape(self.shape)
