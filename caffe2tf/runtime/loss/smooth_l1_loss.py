"""SmoothL1Loss: the box regression loss of Fast R-CNN."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from caffe2tf.runtime.loss.losses import compute_in_float32

__all__ = ["SmoothL1Loss"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class SmoothL1Loss(keras.layers.Layer):
    """Smooth L1 loss: ``sum(w * f(v * (a - b))) / n``, quadratic for small differences and linear for large ones.

    ``f(d)`` is ``(sigma * d) ** 2 / 2`` where ``abs(d) < 1 / sigma ** 2``, else ``abs(d) - 1 / (2 * sigma ** 2)``.
    ``keras.losses.Huber`` has neither the weights v and w nor these normalizations. The loss is
    computed in float32 under mixed precision.

    Args:
        sigma: float. It sets the difference at which f becomes linear. Defaults to 1.
        normalization: what n is. ``"BATCH_SIZE"`` (the default): the extent of axis 0; ``"FULL"``: the number of
            values divided by the number of channels, at least 1; ``"NONE"``: `divisor`.
        channel_axis: int. The channel axis, or None if there is none. Defaults to -1.
        divisor: float. n if `normalization` is ``"NONE"``. Defaults to 1.
        per_place: bool. Whether the terms, summed over the channels and not divided, are a second output. Defaults
            to False.

    Input shape:
        A list of two to four tensors with as many values in the same order: a, b, and the weights v inside and w
        outside of f, which default to 1. a has the shape ``(N, H, W, C)`` or fewer axes.

    Output shape:
        A scalar. If `per_place` is true, a tuple of a scalar and ``(N, 1, H, W)``.
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
        compute_in_float32(self)
        self.sigma = sigma
        self.normalization = normalization
        self.channel_axis = channel_axis
        self.divisor = divisor
        self.per_place = per_place

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        """Return the loss, and the sums over the channels if they are requested."""
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
        """Return the number by which the sum is divided."""
        if self.normalization == "NONE":
            return tf.constant(self.divisor, a.dtype)
        if self.normalization == "BATCH_SIZE":
            return tf.cast(tf.shape(a)[0], a.dtype)
        channels = 1 if self.channel_axis is None else tf.shape(a)[self.channel_axis]
        return tf.cast(tf.maximum(tf.size(a) // tf.maximum(channels, 1), 1), a.dtype)

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> object:
        """Return the spec of a scalar, and of the sums."""
        loss = keras.KerasTensor((), dtype=self.compute_dtype)
        if not self.per_place:
            return loss
        shape = list(inputs[0].shape)
        if self.channel_axis is not None:
            del shape[self.channel_axis]
        shape = [shape[0], 1, *shape[1:], 1, 1, 1][:4]
        return loss, keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "sigma": self.sigma,
            "normalization": self.normalization,
            "channel_axis": self.channel_axis,
            "divisor": self.divisor,
            "per_place": self.per_place,
        }
