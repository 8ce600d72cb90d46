"""Checks that extents are known before the network runs."""

from __future__ import annotations

from caffe2tf.errors import LayerError
from caffe2tf.ir.shape import Shape, count

__all__ = ["known", "values_after"]


def known(shape: Shape, what: str) -> tuple[int, ...]:
    """Return a shape all of whose extents are known.

    Args:
        shape: the shape.
        what: the extents, for the message.

    Raises:
        LayerError: an extent is known only at run time.
    """
    if any(d is None for d in shape):
        raise LayerError(f"{what} must be known before the network runs")
    return tuple(d for d in shape if d is not None)


def values_after(shape: Shape, axis: int, what: str = "the input's extents") -> int:
    """Return the number of values along an axis and all later axes.

    Args:
        shape: the shape.
        axis: the first axis that counts.
        what: the extents, for the message.

    Raises:
        LayerError: an extent is known only at run time.
    """
    n = count(shape[axis:])
    if n is None:
        raise LayerError(f"{what} from axis {axis} on must be known before the network runs")
    return n
