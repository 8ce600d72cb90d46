"""Normalize: division by the Euclidean norm, with a trained scale."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Normalize"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Normalize(keras.layers.Layer):
    """Divides by the Euclidean norm and multiplies by a trained scale: ``scale * x / sqrt(sum(x ** 2) + epsilon)``.

    This is the L2 normalization of SSD. ``keras.layers.UnitNormalization`` has no scale and adds no epsilon to the sum.

    Args:
        axis: int or sequence of ints. The axes that the sum is over. Defaults to -1.
        scale_axis: int or None. The axis along which each index has its own scale, or None for one scale in all.
            Defaults to -1.
        epsilon: float. Defaults to 1e-10.

    Input shape:
        ``(N, H, W, C)``, or any other shape. The extent along `scale_axis` must be known when the layer is built.

    Output shape:
        Same as the input.

    Weights:
        `scale`: ``(extent along scale_axis,)``, or ``()`` if `scale_axis` is None.

    Raises:
        ValueError: the layer is built for an input whose extent along `scale_axis` is unknown.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        *,
        scale_axis: int | None = -1,
        epsilon: float = 1e-10,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else tuple(axis)
        self.scale_axis, self.epsilon = scale_axis, epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the scale."""
        shape = () if self.scale_axis is None else (input_shape[self.scale_axis],)
        if None in shape:
            raise ValueError(f"the extent along axis {self.scale_axis} must be known, not {tuple(input_shape)}")
        self.scale = self.add_weight(shape=shape, initializer="ones", name="scale")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the scaled, normalized input."""
        scale = tf.convert_to_tensor(self.scale)
        if self.scale_axis is not None:
            behind = -1 - self.scale_axis if self.scale_axis < 0 else x.shape.rank - 1 - self.scale_axis
            scale = tf.reshape(scale, [-1, *[1] * behind])
        wide = tf.cast(x, keras.backend.result_type(x.dtype, "float32"))  # float16 has no room for squares
        norm = tf.sqrt(tf.reduce_sum(wide * wide, self.axis, keepdims=True) + self.epsilon)
        return tf.cast(wide / norm, x.dtype) * scale

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {"axis": self.axis, "scale_axis": self.scale_axis, "epsilon": self.epsilon}
        return {**super().get_config(), **own}
