"""Parts of resampling layers: their base class, and weighted sums of neighbors along one axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

__all__ = ["ResamplingLayer", "known_extents", "taps_around", "weigh_taps"]


class ResamplingLayer(keras.layers.Layer):
    """Base class of layers that resize images to a given size.

    Args:
        size: pair of ints. Height and width of the output.
    """

    def __init__(self, size: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.size = tuple(size)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape with the new height and width."""
        return (input_shape[0], *self.size, input_shape[3])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "size": self.size}


def known_extents(x: tf.Tensor, axes: Sequence[int]) -> list[int]:
    """Return the extents of ``x`` along ``axes``.

    Raises:
        ValueError: one of them is unknown while a function is traced.
    """
    extents = [x.shape[axis] for axis in axes]
    if None in extents:
        raise ValueError(f"the extents along the axes {tuple(axes)} must be known, not {tuple(x.shape)}")
    return extents


def taps_around(
    centres: np.ndarray, radius: int, extent: int, weigh: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the taps of each position along an axis: the values that contribute to it, and their weights.

    Args:
        centres: the positions, float32, in units of values.
        radius: how many values contribute on either side of the nearest one. Of two nearest values, the one further
            from 0 counts.
        extent: the number of values along the axis. Taps outside are left out.
        weigh: a function from distances (position minus index) to weights.

    Returns:
        The indices and weights of the taps, both of shape ``(positions, taps)``. A position with fewer taps than others
        repeats its last one with weight 0.
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
    """Return the weighted sum of the taps of each position along ``axis`` of a tensor of four axes.

    This is a sum of slices rather than a matrix product, so that a value that is not finite affects only the positions
    that it is a tap of.
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
