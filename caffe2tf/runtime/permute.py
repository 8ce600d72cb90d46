"""A permutation that Caffe computes in place."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

__all__ = ["PermuteInPlace"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class PermuteInPlace(keras.layers.Layer):
    """The axes in another order, as Caffe's loop does it in one memory: it may read what it has overwritten before.

    Args:
        order: for each axis of the result, the axis of the input.
    """

    def __init__(self, order: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.order = tuple(order)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape of as many axes, known but for the batch where that stays in front."""
        apart = int(self.order[0] == 0)  # then each index of the batch is overwritten for itself
        extents = x.shape.as_list()[apart:]
        values = np.arange(np.prod(extents)).reshape(extents)
        source = values.transpose([axis - apart for axis in self.order[apart:]])
        rows = tf.reshape(x, [-1, values.size])
        moved = tf.gather(rows, _what_one_memory_keeps(source.reshape(-1)), axis=1)
        return tf.reshape(moved, [-1, *source.shape] if apart else source.shape)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The same extents in another order."""
        return tuple(input_shape[axis] for axis in self.order)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "order": self.order}


def _what_one_memory_keeps(source: np.ndarray) -> np.ndarray:
    """For each place, where its value stood before ``memory[i] = memory[source[i]]`` was done for each i in turn."""
    place = np.arange(source.size)
    while True:
        found = source[place]
        overwritten = found < place
        if not overwritten.any():
            return found
        place = np.where(overwritten, found, place)
