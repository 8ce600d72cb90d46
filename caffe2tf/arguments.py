"""Checks of the arguments of public functions. Mistakes raise `UsageError`, as on the command line."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from caffe2tf.errors import UsageError

if TYPE_CHECKING:
    from caffe2tf.ir import Shape

__all__ = ["checked_shapes", "require_choice"]


def require_choice(what: str, given: object, allowed: Sequence[str]) -> None:
    """Check that an argument is one of the allowed words.

    Args:
        what: The name of the argument, for the message.
        given: The value of the argument.
        allowed: The allowed words.

    Raises:
        UsageError: The value is not one of them.
    """
    if given not in allowed:
        raise UsageError(f"{what} {given!r}: choose one of {', '.join(allowed)}")


def checked_shapes(given: Mapping[str, Sequence[int]] | None) -> dict[str, Shape]:
    """Return the shapes of inputs by blob, as tuples of Python integers.

    Args:
        given: The shapes in Caffe's axis order, such as ``{"data": (1, 3, 227, 227)}``, or None.

    Raises:
        UsageError: A shape is not a sequence of whole numbers that are 1 or more.
    """
    return {blob: _shape(blob, shape) for blob, shape in (given or {}).items()}


def _shape(blob: str, given: Sequence[int]) -> Shape:
    try:
        shape = tuple(operator.index(d) for d in given)
    except TypeError:
        shape = (0,)
    if any(d < 1 for d in shape):
        raise UsageError(f"shape {given!r} of input {blob!r}: give whole numbers of 1 or more, as in (1, 3, 227, 227)")
    return shape
