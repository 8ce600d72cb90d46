"""What resampling is made of: a layer with a size, and weighted sums of neighbouring values along one axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

__all__ = ["ResamplingLayer", "taps_around", "weigh_taps"]


class ResamplingLayer(keras.layers.Layer):
    """A layer that brings images to a size; channels last.

    Args:
        size: height and width of the result.
    """

    def __init__(self, size: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.size = tuple(size)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's, but for the size."""
        return (input_shape[0], *self.size, input_shape[3])

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "size": self.size}


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
