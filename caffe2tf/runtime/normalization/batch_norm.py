"""Normalisation by the statistics of the batch at hand."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["NormalizeBatch"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class NormalizeBatch(keras.layers.Layer):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` for each channel, over all other axes.

    The statistics are those of the batch at hand, when training or not.

    Args:
        axis: the axis of the channels.
        epsilon: what is added to the variance, that is the mean of ``(x - mean)`` squared.
        outside_root: whether epsilon is added to the variance's square root instead.
        scale: whether there is a gamma.
        center: whether there is a beta.
        momentum: in training, the weight of the old values in moving averages of both statistics, which nothing here
            uses: they are for BatchNormalization, which has the same weights. None: there are none.
    """

    def __init__(
        self,
        axis: int = -1,
        *,
        epsilon: float = 1e-5,
        outside_root: bool = False,
        scale: bool = False,
        center: bool = False,
        momentum: float | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.axis, self.epsilon, self.outside_root = axis, epsilon, outside_root
        self.scale, self.center, self.momentum = scale, center, momentum

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes gamma, beta and the moving averages."""
        shape = (input_shape[self.axis],)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma") if self.scale else None
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta") if self.center else None
        self.averages = [
            self.add_weight(shape=shape, initializer=initializer, name=name, trainable=False)
            for name, initializer in (("moving_mean", "zeros"), ("moving_variance", "ones"))
            if self.momentum is not None
        ]

    def call(self, x: tf.Tensor, *, training: bool | None = None) -> tf.Tensor:
        """Any shape, and the same out."""
        rank = len(x.shape)
        others = [a for a in range(rank) if a != self.axis % rank]
        mean = tf.reduce_mean(x, others, keepdims=True)
        centred = x - mean
        variance = tf.reduce_mean(tf.square(centred), others, keepdims=True)
        if training and self.momentum is not None:
            for average, new in zip(self.averages, (mean, variance), strict=True):
                flat = tf.cast(tf.reshape(new, [-1]), average.dtype)
                average.assign(average * self.momentum + flat * (1 - self.momentum))
        root = tf.sqrt(variance) + self.epsilon if self.outside_root else tf.sqrt(variance + self.epsilon)
        y = centred / root
        if self.gamma is not None:
            y *= tf.reshape(self.gamma, tf.shape(mean))
        if self.beta is not None:
            y += tf.reshape(self.beta, tf.shape(mean))
        return y

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        own = {
            "axis": self.axis,
            "epsilon": self.epsilon,
            "outside_root": self.outside_root,
            "scale": self.scale,
            "center": self.center,
            "momentum": self.momentum,
        }
        return {**super().get_config(), **own}
