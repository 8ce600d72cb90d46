"""Functions of one value that Keras does not have, as Caffe computes them."""

from __future__ import annotations

import math

import keras
import numpy as np
import tensorflow as tf

__all__ = [
    "AbsVal",
    "Atan",
    "Clip",
    "Exp",
    "Log",
    "NegReLU",
    "Power",
    "SlopedReLU",
    "Swish",
    "Threshold",
    "UnscaledDropout",
]


class _Neuron(keras.layers.Layer):
    """A layer whose output has the shape of its input."""

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="caffe2tf")
class AbsVal(_Neuron):
    """``abs(x)``."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The absolute values."""
        return tf.abs(x)


@keras.saving.register_keras_serializable(package="caffe2tf")
class Atan(_Neuron):
    """``atan(x)``."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Angles, between -pi / 2 and pi / 2."""
        return tf.atan(x)


@keras.saving.register_keras_serializable(package="caffe2tf")
class Clip(_Neuron):
    """``max(minimum, min(x, maximum))``; NaN gives the minimum."""

    def __init__(self, minimum: float, maximum: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.minimum = minimum
        self.maximum = maximum

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The limited values."""
        low = tf.cast(self.minimum, x.dtype)
        x = tf.minimum(x, tf.cast(self.maximum, x.dtype))
        return tf.where(x > low, x, low)

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "minimum": self.minimum, "maximum": self.maximum}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Exp(_Neuron):
    """``base ** (shift + scale * x)``; without a base, e."""

    def __init__(self, base: float | None = None, scale: float = 1.0, shift: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.base = base
        self.scale = scale
        self.shift = shift
        log_base = 1.0 if base is None else math.log(base)
        with np.errstate(all="ignore"):  # an overflow is what Caffe computes, too
            self._inner = float(np.float32(log_base) * np.float32(scale))
            self._outer = float(np.exp(np.float64(log_base) * shift).astype(np.float32))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The powers; `shift` is a factor, computed once."""
        y = tf.exp(x if self._inner == 1 else x * self._inner)
        return y if self._outer == 1 else y * self._outer

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "base": self.base, "scale": self.scale, "shift": self.shift}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Log(_Neuron):
    """Logarithm of ``shift + scale * x`` to a base; without one, the natural logarithm."""

    def __init__(self, base: float | None = None, scale: float = 1.0, shift: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.base = base
        self.scale = scale
        self.shift = shift

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The logarithms; NaN where the argument is negative."""
        x = x if self.scale == 1 else x * self.scale
        y = tf.math.log(x if self.shift == 0 else x + self.shift)
        return y if self.base is None else y * (1 / math.log(self.base))

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "base": self.base, "scale": self.scale, "shift": self.shift}


@keras.saving.register_keras_serializable(package="caffe2tf")
class NegReLU(_Neuron):
    """``min(x, 0) + positive_slope * max(x, 0)``: what a rectifier takes away, and a share of what it leaves."""

    def __init__(self, positive_slope: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.positive_slope = positive_slope

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Two slopes."""
        y = tf.minimum(x, 0.0)
        return y if self.positive_slope == 0 else y + self.positive_slope * tf.maximum(x, 0.0)

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "positive_slope": self.positive_slope}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Power(_Neuron):
    """``(shift + scale * x) ** power``; 1 for power 0, whatever the base."""

    def __init__(self, power: float, scale: float = 1.0, shift: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.power = power
        self.scale = scale
        self.shift = shift

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The powers; NaN where the base is negative and the power not an integer."""
        with np.errstate(all="ignore"):  # an infinity or NaN is what Caffe computes, too
            if np.float32(self.power) * np.float32(self.scale) == 0:  # Caffe does not look at x then, NaN or not
                value = np.power(np.float32(self.shift), np.float32(self.power))
                return tf.fill(tf.shape(x), tf.cast(value, x.dtype))
        x = x if self.scale == 1 else x * self.scale
        x = x if self.shift == 0 else x + self.shift
        return x if self.power == 1 else tf.pow(x, self.power)

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "power": self.power, "scale": self.scale, "shift": self.shift}


@keras.saving.register_keras_serializable(package="caffe2tf")
class SlopedReLU(_Neuron):
    """``max(x, 0) + negative_slope * min(x, 0)``, for a slope of any sign."""

    def __init__(self, negative_slope: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.negative_slope = negative_slope

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Two slopes."""
        return tf.maximum(x, 0.0) + self.negative_slope * tf.minimum(x, 0.0)

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "negative_slope": self.negative_slope}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Swish(_Neuron):
    """``x * sigmoid(beta * x)``."""

    def __init__(self, beta: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.beta = beta

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The gated values."""
        return x * tf.sigmoid(x * self.beta)

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "beta": self.beta}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Threshold(_Neuron):
    """1 where ``x > threshold``, else 0."""

    def __init__(self, threshold: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Zeros and ones."""
        return tf.cast(x > self.threshold, x.dtype)

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "threshold": self.threshold}


@keras.saving.register_keras_serializable(package="caffe2tf")
class UnscaledDropout(_Neuron):
    """Dropout that leaves values out in training without scaling the rest, and scales all of them otherwise.

    Args:
        rate: probability that a value is left out.
    """

    def __init__(self, rate: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self._seeds = keras.random.SeedGenerator()

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:  # noqa: FBT001, FBT002 - Keras' own signature
        """``x`` with values left out in training, else ``x * (1 - rate)``."""
        keep = 1 - self.rate
        return keras.random.dropout(x, self.rate, seed=self._seeds) * keep if training else x * keep

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "rate": self.rate}
