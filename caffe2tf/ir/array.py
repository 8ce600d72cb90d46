"""The type of arrays in annotations."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

__all__ = ["Array"]

Array = npt.NDArray[Any]
"""A NumPy array of any shape and dtype."""
