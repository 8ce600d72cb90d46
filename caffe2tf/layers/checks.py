"""Numbers that a layer makes sizes or whole numbers of, or divides by: infinite ones, and those that are none."""

from __future__ import annotations

import math
from collections.abc import Iterable

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import short

__all__ = ["check_finite", "check_positive"]


def check_finite(name: str, numbers: Iterable[float]) -> None:
    """Raises LayerError where one of the ``numbers``, which the field ``name`` holds, is infinite or none."""
    for number in numbers:
        if not math.isfinite(number):
            raise LayerError(f"{name} must be finite, not {number:g}")


def check_positive(name: str, numbers: Iterable[float]) -> None:
    """Raises LayerError where one of the ``numbers`` that the field ``name`` holds is not above 0 and finite."""
    numbers = tuple(numbers)
    check_finite(name, numbers)
    if min(numbers, default=1) <= 0:
        raise LayerError(f"{name} must be greater than 0, not {short(min(numbers)):g}")
