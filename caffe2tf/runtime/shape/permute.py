"""PermuteInPlace: a permutation of axes as Caffe computes it in place."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from caffe2tf.runtime.transpose import PermutingLayer

__all__ = ["PermuteInPlace"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class PermuteInPlace(PermutingLayer):
    """Permutes axes the way Caffe does when the input and the output of its Permute layer share memory.

    Caffe's loop writes ``memory[i] = memory[source[i]]`` for each ``i`` in turn, so it may read values that it has
    already overwritten. The result is not a plain transpose, and a network that was trained this way relies on it.
    Where the batch axis stays first, each item of the batch is permuted on its own, which gives the same result.

    Args:
        order: sequence of ints. Axis ``i`` of the output is axis ``order[i]`` of the input.

    Input shape:
        Any shape with one axis for each element of `order`. All extents must be known when the model is built, except
        that of the batch axis if ``order[0]`` is 0.

    Output shape:
        The permuted input shape.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Gather each value from where Caffe's loop would read it."""
        apart = int(self.order[0] == 0)  # the batch axis stays first: every item is permuted alike
        extents = x.shape.as_list()[apart:]
        values = np.arange(np.prod(extents)).reshape(extents)
        source = values.transpose([axis - apart for axis in self.order[apart:]])
        rows = tf.reshape(x, [-1, values.size])
        moved = tf.gather(rows, _what_one_memory_keeps(source.reshape(-1)), axis=1)
        return tf.reshape(moved, [-1, *source.shape] if apart else source.shape)


def _what_one_memory_keeps(source: np.ndarray) -> np.ndarray:
    """Return where each value stood before the loop ``memory[i] = memory[source[i]]`` ran over all ``i`` in turn."""
    place = np.arange(source.size)
    while True:
        found = source[place]
        overwritten = found < place
        if not overwritten.any():
            return found
        place = np.where(overwritten, found, place)
