"""Shapes of blobs, in Caffe's axis order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

__all__ = ["LONGEST", "Shape", "canonical_axis", "count", "format_shape"]

Shape = tuple[int | None, ...]
"""Extents along Caffe's axes, (N, C, H, W) for images; None for an extent that is known only at run time."""

LONGEST: Final = 2**31 - 1
"""The largest extent of a Caffe blob."""


def canonical_axis(axis: int, rank: int) -> int:
    """Return the non-negative form of an axis.

    Raises:
        ValueError: a blob of `rank` axes has no such axis.
    """
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is out of range for a blob of {rank} axes (allowed: {-rank} to {rank - 1})")
    return axis % rank if rank else 0


def count(shape: Sequence[int | None]) -> int | None:
    """Return the number of values; 1 for a scalar, None if an extent is unknown."""
    known = [d for d in shape if d is not None]
    return math.prod(known) if len(known) == len(shape) else None


def format_shape(shape: Sequence[int | None]) -> str:
    """Format a shape for messages: ``1x3x227x227``; ``?`` for an unknown extent, ``scalar`` for no axes."""
    return "x".join("?" if d is None else str(d) for d in shape) or "scalar"
