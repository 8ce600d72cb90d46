"""Checks that parameters are finite, positive, or given."""

from __future__ import annotations

import math
from collections.abc import Iterable

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import short

__all__ = ["check_count", "check_finite", "check_positive"]


def check_count(name: str, count: int, *, given: bool = True) -> None:
    """Check that a whole number is 1 or more.

    Args:
        name: the field, for the message.
        count: its value, or its default.
        given: whether the definition gives the field. If it does not, the message says that the field is required.

    Raises:
        LayerError: the number is 0 or less.
    """
    if count < 1:
        raise LayerError(f"{name} must be 1 or more, not {count}" if given else f"{name} is required")


def check_finite(name: str, numbers: Iterable[float]) -> None:
    """Check that numbers are finite.

    Args:
        name: the field, for the message.
        numbers: its values.

    Raises:
        LayerError: a number is infinite or NaN.
    """
    for number in numbers:
        if not math.isfinite(number):
            raise LayerError(f"{name} must be finite, not {number:g}")


def check_positive(name: str, numbers: Iterable[float]) -> None:
    """Check that numbers are finite and greater than 0.

    Args:
        name: the field, for the message.
        numbers: its values.

    Raises:
        LayerError: a number is infinite, NaN, or not greater than 0.
    """
    numbers = tuple(numbers)
    check_finite(name, numbers)
    if min(numbers, default=1) <= 0:
        raise LayerError(f"{name} must be greater than 0, not {short(min(numbers)):g}")
