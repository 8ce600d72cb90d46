"""FullReshape: a reshape that includes the batch axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["FullReshape"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class FullReshape(keras.layers.Layer):
    """Reshapes a tensor, including its batch axis.

    ``keras.layers.Reshape`` leaves the batch axis as it is.

    Args:
        shape: sequence of ints. The new extents. One of them may be -1; it is inferred from the others. A 0 copies an
            extent of the input, as in Caffe.
        copied: sequence of ints. For each 0 in `shape`, in order, the axis of the input whose extent is copied.

    Input shape:
        Any shape with as many values as the new shape.

    Output shape:
        The new extents.
    """

    def __init__(self, shape: Sequence[int], copied: Sequence[int] = (), **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.copied = tuple(copied)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Reshape the input."""
        extents, copied = tf.shape(x), iter(self.copied)
        return tf.reshape(x, [extents[next(copied)] if d == 0 else d for d in self.shape])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the new extents; None for those that are unknown until the model runs."""
        copied = iter(self.copied)
        shape = [input_shape[next(copied)] if d == 0 else d for d in self.shape]
        values = [d for d in input_shape if d is not None]
        known = [d for d in shape if d is not None and d != -1]
        rest = math.prod(values) // math.prod(known) if len(values) == len(input_shape) else None
        return tuple(rest if d == -1 else d for d in shape)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "shape": self.shape, "copied": self.copied}
