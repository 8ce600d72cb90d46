"""Normalization by the statistics of the current batch, and these statistics."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["BatchStatistic", "CentredBatchNormalization", "NormalizeBatch"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class NormalizeBatch(keras.layers.Layer):
    """Batch normalization by the statistics of the current batch, in training and at inference.

    For each channel it computes ``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, where the mean and the
    variance ``mean((x - mean) ** 2)`` are taken over all other axes. Caffe's BatchNorm does so with
    ``use_global_stats: false`` and SegNet's BN with ``bn_mode: LEARN``, also in the test phase.
    ``keras.layers.BatchNormalization`` uses moving averages at inference.

    Args:
        axis: int. The axis of the channels. Defaults to -1.
        epsilon: float. Defaults to 1e-5.
        outside_root: bool. Whether to divide by ``sqrt(variance) + epsilon`` instead. Defaults to False.
        scale: bool. Whether to multiply by the weight `gamma`. Defaults to False.
        center: bool. Whether to add the weight `beta`. Defaults to False.
        momentum: float or None. If given, training updates the weights `moving_mean` and `moving_variance`:
            ``moving = moving * momentum + batch * (1 - momentum)``. This layer does not use them. They are for a
            ``keras.layers.BatchNormalization`` that takes over the weights, which has the same ones in the same
            order. Defaults to None.

    Call arguments:
        x: the input.
        training: bool, whether to update the moving averages.

    Input shape:
        ``(N, ..., C)``, or with the channels along `axis`.

    Output shape:
        Same as the input.

    Weights:
        `gamma`, `beta`, `moving_mean` and `moving_variance`, each ``(C,)``; the last two are not trainable.
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
        """Create the weights."""
        shape = (input_shape[self.axis],)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma") if self.scale else None
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta") if self.center else None
        self.averages = [
            self.add_weight(shape=shape, initializer=initializer, name=name, trainable=False, autocast=False)
            for name, initializer in (("moving_mean", "zeros"), ("moving_variance", "ones"))
            if self.momentum is not None
        ]

    def call(self, x: tf.Tensor, *, training: bool | None = None) -> tf.Tensor:
        """Return the normalized input."""
        rank = len(x.shape)
        others = [a for a in range(rank) if a != self.axis % rank]
        wide = tf.cast(x, keras.backend.result_type(x.dtype, "float32"))  # float16 has no room for squares
        mean = tf.reduce_mean(wide, others, keepdims=True)
        centred = wide - mean
        variance = tf.reduce_mean(tf.square(centred), others, keepdims=True)
        if training and self.momentum is not None:
            for average, new in zip(self.averages, (mean, variance), strict=True):
                flat = tf.cast(tf.reshape(new, [-1]), average.dtype)
                average.assign(average * self.momentum + flat * (1 - self.momentum))
        root = tf.sqrt(variance) + self.epsilon if self.outside_root else tf.sqrt(variance + self.epsilon)
        y = tf.cast(centred / root, x.dtype)
        if self.gamma is not None:
            y *= tf.reshape(self.gamma, tf.shape(mean))
        if self.beta is not None:
            y += tf.reshape(self.beta, tf.shape(mean))
        return y

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {
            "axis": self.axis,
            "epsilon": self.epsilon,
            "outside_root": self.outside_root,
            "scale": self.scale,
            "center": self.center,
            "momentum": self.momentum,
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="caffe2tf")
class BatchStatistic(keras.layers.Layer):
    """The mean or the variance of each channel over the current batch, as a tensor of four axes.

    SegNet's BN gives both as its second and third top. In its mode INFERENCE they are zeros.

    Args:
        kind: ``"mean"``, ``"variance"`` (``mean((x - mean) ** 2)``) or ``"zero"``.
        axis: int. The axis of the channels. Defaults to -1.

    Input shape:
        ``(N, ..., C)``, or with the channels along `axis`.

    Output shape:
        ``(1, 1, 1, C)``.

    Raises:
        ValueError: `kind` is none of the three.
    """

    def __init__(self, kind: str, axis: int = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if kind not in ("mean", "variance", "zero"):
            raise ValueError(f"kind must be 'mean', 'variance' or 'zero', not {kind!r}")
        self.kind, self.axis = kind, axis

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the statistic of each channel."""
        rank = len(x.shape)
        others = [a for a in range(rank) if a != self.axis % rank]
        wide = tf.cast(x, keras.backend.result_type(x.dtype, "float32"))  # float16 has no room for squares
        value = tf.reduce_mean(wide, others, keepdims=True)
        if self.kind == "variance":
            value = tf.reduce_mean(tf.square(wide - value), others)
        elif self.kind == "zero":
            value = tf.zeros_like(value)
        return tf.cast(tf.reshape(value, [1, 1, 1, -1]), x.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return ``(1, 1, 1, C)``."""
        return (1, 1, 1, input_shape[self.axis])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "kind": self.kind, "axis": self.axis}


@keras.saving.register_keras_serializable(package="caffe2tf")
class CentredBatchNormalization(keras.layers.BatchNormalization):
    """``keras.layers.BatchNormalization`` that subtracts the mean first: ``(x - mean) * s + beta`` at inference.

    Here `s` is ``gamma / sqrt(variance + epsilon)``. Keras computes ``x * s + (beta - mean * s)``, which loses digits
    in float32 if a mean is many standard deviations. Training, the arguments and the weights are those of Keras.

    Input shape:
        ``(N, ..., C)``, or with the channels along `axis`.

    Output shape:
        Same as the input.
    """

    def call(self, x: tf.Tensor, *, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Return the normalized input."""
        if training and self.trainable:
            return super().call(x, training=training, mask=mask)
        wide = tf.cast(x, keras.backend.result_type(x.dtype, "float32"))  # float16 has too few digits
        shape = [1] * len(x.shape)
        shape[self.axis] = -1
        mean, variance, gamma, beta = (
            None if w is None else tf.cast(tf.reshape(w, shape), wide.dtype)
            for w in (self.moving_mean, self.moving_variance, self.gamma, self.beta)
        )
        factor = tf.math.rsqrt(variance + self.epsilon)
        y = (wide - mean) * (factor if gamma is None else factor * gamma)
        return tf.cast(y if beta is None else y + beta, x.dtype)
