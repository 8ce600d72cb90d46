"""TensorShape and ReshapeTo: layers that compute with the shape of a tensor."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["ReshapeTo", "TensorShape"]

Extents = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="caffe2tf")
class TensorShape(keras.layers.Layer):
    """Returns extents of a tensor as floating-point values, in float32 under mixed precision.

    Args:
        axes: sequence of ints. The axes whose extents are returned, in this order.

    Input shape:
        Any shape.

    Output shape:
        ``(len(axes),)``, without a batch axis.
    """

    def __init__(self, axes: Sequence[int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        if self.compute_dtype in ("float16", "bfloat16"):  # they hold no large extent exactly
            self.dtype_policy = "float32"
        self.axes = tuple(axes)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the extents that the input has when the model runs."""
        return tf.cast(tf.gather(tf.shape(x), self.axes), self.compute_dtype)

    def compute_output_shape(self, input_shape: Extents) -> Extents:
        """Return the shape of a vector with one value for each axis."""
        del input_shape
        return (len(self.axes),)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axes": self.axes}


@keras.saving.register_keras_serializable(package="caffe2tf")
class ReshapeTo(keras.layers.Layer):
    """Reshapes one tensor, including its batch axis, to the extents that another tensor holds.

    The extents are values, often computed from those of a `TensorShape` layer, so none of them is known before the
    model runs. They are rounded to whole numbers.

    Args:
        rank: int. The number of new extents. The last extent may be -1; it is inferred from the others.

    Input shape:
        A list of two tensors: one of any shape, and the new extents, of shape ``(rank,)``.

    Output shape:
        `rank` unknown extents.
    """

    def __init__(self, rank: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # float16 holds no extent above 2048 exactly
        self.rank = rank

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Reshape the first input to the values of the second input."""
        x, extents = inputs
        y = tf.reshape(tf.cast(x, self.compute_dtype), tf.cast(tf.round(extents), tf.int32))
        return tf.ensure_shape(y, (None,) * self.rank)

    def compute_output_shape(self, input_shape: Sequence[Extents]) -> Extents:
        """Return `rank` unknown extents."""
        del input_shape
        return (None,) * self.rank

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "rank": self.rank}
