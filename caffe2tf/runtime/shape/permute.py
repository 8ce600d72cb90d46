"""A permutation that Caffe computes in place."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from caffe2tf.runtime.transpose import PermutingLayer

__all__ = ["PermuteInPlace"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class PermuteInPlace(PermutingLayer):
    """The axes in another order, as Caffe's loop does it in one memory: it may read what it has overwritten before.

    Args:
        order: for each axis of the result, the axis of the input.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape of as many axes, known but for the batch where that stays in front."""
        apart = int(self.order[0] == 0)  # then each index of the batch is overwritten for itself
        extents = x.shape.as_list()[apart:]
        values = np.arange(np.prod(extents)).reshape(extents)
        source = values.transpose([axis - apart for axis in self.order[apart:]])
        rows = tf.reshape(x, [-1, values.size])
        moved = tf.gather(rows, _what_one_memory_keeps(source.reshape(-1)), axis=1)
        return tf.reshape(moved, [-1, *source.shape] if apart else source.shape)


def _what_one_memory_keeps(source: np.ndarray) -> np.ndarray:
    """For each place, where its value stood before ``memory[i] = memory[source[i]]`` was done for each i in turn."""
    place = np.arange(source.size)
    while True:
        found = source[place]
        overwritten = found < place
        if not overwritten.any():
            return found
        place = np.where(overwritten, found, place)
