"""Extents that must be known before the network runs."""

from __future__ import annotations

from caffe2tf.errors import LayerError
from caffe2tf.ir.shape import Shape, count

__all__ = ["known", "values_after"]


def known(shape: Shape, what: str) -> tuple[int, ...]:
    """``shape`` where all its extents are known; raises LayerError where one is known only at run time."""
    if any(d is None for d in shape):
        raise LayerError(f"{what} must be known before the network runs")
    return tuple(d for d in shape if d is not None)


def values_after(shape: Shape, axis: int, what: str = "the input's extents") -> int:
    """The count of values from ``axis`` on; raises LayerError where it is known only at run time."""
    n = count(shape[axis:])
    if n is None:
        raise LayerError(f"{what} from axis {axis} on must be known before the network runs")
    return n
