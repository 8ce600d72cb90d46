"""FlowWarp: warps an image by an optical flow."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from caffe2tf.runtime.vision.convolution import known_shape

__all__ = ["FlowWarp"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class FlowWarp(keras.layers.Layer):
    """Warps images by an optical flow: ``output[y, x] = image[y + flow_y[y, x], x + flow_x[y, x]]``.

    The image is interpolated bilinearly between pixels. As in FlowNet, a position is inside the image from 0 up to the
    height or width, exclusive; between the last pixel and that border, the last pixel is used.

    Args:
        fill_value: ``"ZERO"`` or ``"NOT_A_NUMBER"``. The output where the flow leaves the image or is NaN. Defaults to
            ``"ZERO"``.

    Input shape:
        A list of two tensors: the images ``(N, H, W, C)``, and the flow ``(N, H, W, 2)`` in pixels, along the width
        (channel 0) and the height (channel 1). `H` and `W` may be unknown until the layer is called.

    Output shape:
        ``(N, H, W, C)``.
    """

    def __init__(self, fill_value: str = "ZERO", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.fill_value = fill_value

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the warped images."""
        image, flow = inputs
        _, height, width, channels = known_shape(image)
        flow = tf.cast(flow, keras.backend.result_type(flow.dtype, "float32"))  # float16 is too coarse for positions
        x = flow[..., 0] + tf.range(width, dtype=flow.dtype)
        y = flow[..., 1] + tf.range(height, dtype=flow.dtype)[:, None]
        inside = (x >= 0) & (y >= 0) & (x < tf.cast(width, x.dtype)) & (y < tf.cast(height, y.dtype))
        x, y = (tf.where(inside, at, 0) for at in (x, y))  # NaN must not become an index
        left, top = tf.cast(x, tf.int32), tf.cast(y, tf.int32)
        right, bottom = tf.minimum(left + 1, width - 1), tf.minimum(top + 1, height - 1)
        alpha, beta = (tf.cast(at - tf.floor(at), image.dtype)[..., None] for at in (x, y))
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
        """Return the shape of the images."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "fill_value": self.fill_value}
