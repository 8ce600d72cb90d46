"""Parameter: a trained tensor as the output of a layer."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["Parameter"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Parameter(keras.layers.Layer):
    """Returns a trained tensor.

    Caffe's Parameter layer has no input. Keras calls every layer on a tensor, so this one takes any tensor and ignores
    it.

    Args:
        shape: sequence of ints. The shape of the tensor.

    Input shape:
        Any shape.

    Output shape:
        `shape`. There is no batch axis, unless it is part of `shape`.

    Weights:
        `value`, of the given shape; initially 0.
    """

    def __init__(self, shape: tuple[int, ...], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the tensor."""
        del input_shape
        self.value = self.add_weight(shape=self.shape, initializer="zeros", name="value")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the trained tensor."""
        del x
        return tf.convert_to_tensor(self.value)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int, ...]:
        """Return the shape of the trained tensor."""
        del input_shape
        return self.shape

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "shape": list(self.shape)}
