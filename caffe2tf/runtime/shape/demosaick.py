"""ReplicateLike: broadcasts one number per item to a one-channel image."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["ReplicateLike"]

Extents = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="caffe2tf")
class ReplicateLike(keras.layers.Layer):
    """Broadcasts one number for each item of the batch to a one-channel tensor of the size of another tensor.

    ``y[n, i, j, 0] = numbers[n]`` for channels-last images. demosaicnet feeds the noise level of each image to its
    convolutions in this way. Only the shape of the second input is read.

    Args:
        axis: int. The channel axis of the second input.

    Input shape:
        A list of two tensors: the numbers, of shape ``(N,)``, and the reference, for example ``(N, H, W, C)``.

    Output shape:
        The shape of the second input with one channel, for example ``(N, H, W, 1)``.
    """

    def __init__(self, axis: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Broadcast the numbers to the size of the reference."""
        numbers, like = inputs
        one = tf.ones_like(tf.gather(like, [0], axis=self.axis))
        return one * tf.reshape(numbers, (-1, *(1,) * (len(like.shape) - 1)))

    def compute_output_shape(self, input_shape: Sequence[Extents]) -> Extents:
        """Return the shape of the second input with one channel."""
        shape = list(input_shape[1])
        shape[self.axis] = 1
        return tuple(shape)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}
