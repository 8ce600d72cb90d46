"""Checks of what a program hands to the public functions: a mistake there is told like any other."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from caffe2tf.errors import UsageError

if TYPE_CHECKING:
    from caffe2tf.ir import Shape

__all__ = ["checked_shapes", "require_choice"]


def require_choice(what: str, given: object, allowed: Sequence[str]) -> None:
    """Refuses a word that is none of those that an argument may be.

    Args:
        what: the argument, for the message.
        given: what it is.
        allowed: the words.

    Raises:
        UsageError: it is another.
    """
    if given not in allowed:
        raise UsageError(f"{what} {given!r}: choose one of {', '.join(allowed)}")


def checked_shapes(given: Mapping[str, Sequence[int]] | None) -> dict[str, Shape]:
    """Shapes of inputs by blob, as tuples of Python's integers; none for None.

    Raises:
        UsageError: one is no shape: a sequence of whole numbers, each 1 or more.
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
