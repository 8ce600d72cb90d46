"""ReplicateLike: an image of one number."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["ReplicateLike"]

Extents = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="caffe2tf")
class ReplicateLike(keras.layers.Layer):
    """A number for each item of the batch, spread over a tensor shaped like another, but with one channel.

    Args:
        axis: the axis of the channels in the second tensor.
    """

    def __init__(self, axis: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The numbers (batch), and the tensor whose extents count."""
        numbers, like = inputs
        one = tf.ones_like(tf.gather(like, [0], axis=self.axis))
        return one * tf.reshape(numbers, (-1, *(1,) * (len(like.shape) - 1)))

    def compute_output_shape(self, input_shape: Sequence[Extents]) -> Extents:
        """The second tensor's shape with one channel."""
        shape = list(input_shape[1])
        shape[self.axis] = 1
        return tuple(shape)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": self.axis}
