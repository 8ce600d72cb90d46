"""The loss of Fast R-CNN on boxes: squares of small differences, absolute values of large ones."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["SmoothL1Loss"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class SmoothL1Loss(keras.layers.Layer):
    """``sum of w * f(v * (a - b)) / n``; ``f(d) = (sigma * d) ** 2 / 2`` near 0, else ``abs(d) - 1 / (2 sigma ** 2)``.

    The inputs are a and b, and, if there are three or four, the weights v inside and w outside of f.

    Args:
        sigma: f changes its form where ``abs(d)`` is ``1 / sigma ** 2``.
        normalization: what n is: BATCH_SIZE, FULL (places: all values of one channel), or NONE: `divisor`.
        channel_axis: the axis that holds no places; None for none.
        divisor: n where normalization is NONE.
        per_place: whether the sums over the channels, before the division, are a second output (N, 1, H, W).
    """

    def __init__(
        self,
        sigma: float = 1.0,
        normalization: str = "BATCH_SIZE",
        *,
        channel_axis: int | None = -1,
        divisor: float = 1.0,
        per_place: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.sigma = sigma
        self.normalization = normalization
        self.channel_axis = channel_axis
        self.divisor = divisor
        self.per_place = per_place

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        """The loss, and the sums over the channels where they are asked for."""
        a = inputs[0]
        b, *weights = (tf.reshape(v, tf.shape(a)) for v in inputs[1:])
        d = weights[0] * (a - b) if weights else a - b
        square = self.sigma * self.sigma
        f = tf.where(tf.abs(d) < 1.0 / square, 0.5 * square * d * d, tf.abs(d) - 0.5 / square)
        f = weights[1] * f if len(weights) > 1 else f
        loss = tf.reduce_sum(f) / self._count(a)
        if not self.per_place:
            return loss
        sums = f if self.channel_axis is None else tf.reduce_sum(f, axis=self.channel_axis)
        sums = tf.expand_dims(sums, 1)
        for _ in range(4 - len(sums.shape)):
            sums = tf.expand_dims(sums, -1)
        return loss, sums

    def _count(self, a: tf.Tensor) -> tf.Tensor:
        """What the sum is divided by."""
        if self.normalization == "NONE":
            return tf.constant(self.divisor, a.dtype)
        if self.normalization == "BATCH_SIZE":
            return tf.cast(tf.shape(a)[0], a.dtype)
        channels = 1 if self.channel_axis is None else tf.shape(a)[self.channel_axis]
        return tf.cast(tf.maximum(tf.size(a) // tf.maximum(channels, 1), 1), a.dtype)

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> object:
        """A scalar, and the sums."""
        loss = keras.KerasTensor((), dtype=self.compute_dtype)
        if not self.per_place:
            return loss
        shape = list(inputs[0].shape)
        if self.channel_axis is not None:
            del shape[self.channel_axis]
        shape = [shape[0], 1, *shape[1:], 1, 1, 1][:4]
        return loss, keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {
            **super().get_config(),
            "sigma": self.sigma,
            "normalization": self.normalization,
            "channel_axis": self.channel_axis,
            "divisor": self.divisor,
            "per_place": self.per_place,
        }
