"""When stored statistics need the mean subtracted first, because Keras' form would lose digits."""

from __future__ import annotations

from typing import Final

import numpy as np

from caffe2tf.ir.weight import Array

__all__ = ["needs_centring"]

_LARGE: Final = 32
"""Keras' relative error, about 4e-8 times this ratio, is then more than 1e-6; Caffe's form stays at 5e-8."""


def needs_centring(mean: Array, variance: Array, epsilon: float) -> bool:
    """Return whether a mean is so many standard deviations that ``x * s + (beta - mean * s)`` loses digits."""
    spread = np.asarray(variance, np.float64).reshape(-1) + epsilon
    square = np.asarray(mean, np.float64).reshape(-1) ** 2
    return bool(np.any((spread > 0) & (square > _LARGE**2 * spread)))
