"""FlowWarp: an image, fetched from where a flow points."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["FlowWarp"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class FlowWarp(keras.layers.Layer):
    """For each pixel, the image's value at that pixel plus the flow there, bilinearly interpolated; channels last.

    Args:
        fill_value: ZERO or NOT_A_NUMBER: what there is where the flow leads out of the image.
    """

    def __init__(self, fill_value: str = "ZERO", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.fill_value = fill_value

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The image, and a flow of two channels: along the width and along the height, in pixels."""
        image, flow = inputs
        _, height, width, channels = image.shape
        x = flow[..., 0] + tf.range(width, dtype=flow.dtype)
        y = flow[..., 1] + tf.range(height, dtype=flow.dtype)[:, None]
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        x, y = (tf.where(inside, at, 0) for at in (x, y))  # no index is made of what is not a number
        left, top = tf.cast(x, tf.int32), tf.cast(y, tf.int32)
        right, bottom = tf.minimum(left + 1, width - 1), tf.minimum(top + 1, height - 1)
        alpha, beta = ((at - tf.floor(at))[..., None] for at in (x, y))
        pixels = tf.reshape(image, [-1, height * width, channels])

        def fetch(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
            places = tf.reshape(row * width + column, [-1, height * width])
            return tf.reshape(tf.gather(pixels, places, batch_dims=1, axis=1), [-1, height, width, channels])

        warped = (
            (1 - alpha) * (1 - beta) * fetch(top, left)
            + alpha * (1 - beta) * fetch(top, right)
            + (1 - alpha) * beta * fetch(bottom, left)
            + alpha * beta * fetch(bottom, right)
        )
        fill = float("nan") if self.fill_value == "NOT_A_NUMBER" else 0.0
        return tf.where(inside[..., None], warped, tf.constant(fill, warped.dtype))

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """The image's."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "fill_value": self.fill_value}
