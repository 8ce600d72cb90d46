"""Weighted sums of neighbouring values along one axis: what resampling is made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

__all__ = ["taps_around", "weigh_taps"]


def taps_around(
    centres: np.ndarray, radius: int, extent: int, weigh: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The values that lie around each of several places.

    Args:
        centres: the places, float32.
        radius: how far the values reach to either side of the one nearest to a place (of two, the outer one).
        extent: count of values; there are none before the first and after the last.
        weigh: the weights of values at such distances (place less value).

    Returns:
        Indices and their weights, both (places, taps); where a place has fewer taps than others, its last one is
        repeated with weight 0.
    """
    whole = np.trunc(centres)
    nearest = (whole + np.sign(centres) * (np.abs(centres - whole) >= 0.5)).astype(np.int64)
    first, last = (np.clip(nearest + side, 0, extent - 1) for side in (-radius, radius))
    run = first[:, None] + np.arange((last - first).max() + 1)
    indices = np.minimum(run, last[:, None])
    near = (run <= last[:, None]) & (np.abs(indices - nearest[:, None]) <= radius)
    distances = centres[:, None] - indices.astype(np.float32)
    return indices, np.where(near, weigh(distances), np.float32(0)).astype(np.float32)


def weigh_taps(x: tf.Tensor, axis: int, taps: tuple[np.ndarray, np.ndarray]) -> tf.Tensor:
    """For each place along ``axis`` of a tensor of 4 axes, the sum of its taps times their weights.

    A sum of so many slices, and no matrix product: a value that is not finite stays within reach of its taps.
    """
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    terms = (
        tf.gather(x, index, axis=axis) * tf.constant(weight.reshape(shape), x.dtype)
        for index, weight in zip(taps[0].T, taps[1].T, strict=True)
    )
    total = next(terms)
    for term in terms:
        total += term
    return total
