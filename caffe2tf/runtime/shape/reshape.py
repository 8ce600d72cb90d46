"""FullReshape: a reshape that takes in the batch axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["FullReshape"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class FullReshape(keras.layers.Layer):
    """Reshapes a tensor, its first axis included.

    Args:
        shape: the new extents. One may be -1: it is worked out. 0 stands for an extent of the input.
        copied: for each 0 in `shape`, the axis of the input whose extent it is.
    """

    def __init__(self, shape: Sequence[int], copied: Sequence[int] = (), **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.copied = tuple(copied)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape that holds as many values as the new one."""
        extents, copied = tf.shape(x), iter(self.copied)
        return tf.reshape(x, [extents[next(copied)] if d == 0 else d for d in self.shape])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The new extents, as far as they are known."""
        copied = iter(self.copied)
        shape = [input_shape[next(copied)] if d == 0 else d for d in self.shape]
        values = [d for d in input_shape if d is not None]
        known = [d for d in shape if d is not None and d != -1]
        rest = math.prod(values) // math.prod(known) if len(values) == len(input_shape) else None
        return tuple(rest if d == -1 else d for d in shape)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "shape": self.shape, "copied": self.copied}
