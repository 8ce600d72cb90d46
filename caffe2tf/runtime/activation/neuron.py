"""Elementwise functions that Keras lacks, or that Caffe computes by another rule, and Caffe's older dropout."""

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
    """Base class of the elementwise layers.

    Input and output are tensors of any one shape, in the layer's compute dtype.
    """

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="caffe2tf")
class AbsVal(_Neuron):
    """Computes ``abs(x)``.

    Input shape:
        Any shape.

    Output shape:
        Same as the input.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the absolute values."""
        return tf.abs(x)


@keras.saving.register_keras_serializable(package="caffe2tf")
class Atan(_Neuron):
    """Computes ``atan(x)``, the angle in radians between ``-pi / 2`` and ``pi / 2``.

    Input shape:
        Any shape.

    Output shape:
        Same as the input.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the angles."""
        return tf.atan(x)


@keras.saving.register_keras_serializable(package="caffe2tf")
class Clip(_Neuron):
    """Limits values to a range: ``max(minimum, min(x, maximum))``.

    NaN becomes `minimum`, as in Caffe; ``keras.ops.clip`` keeps it. If `minimum` is above `maximum`, every value
    becomes `minimum`.

    Args:
        minimum: float. The lower limit.
        maximum: float. The upper limit.

    Input shape:
        Any shape.

    Output shape:
        Same as the input.
    """

    def __init__(self, minimum: float, maximum: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.minimum = minimum
        self.maximum = maximum

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the limited values."""
        low = tf.cast(self.minimum, x.dtype)
        x = tf.minimum(x, tf.cast(self.maximum, x.dtype))
        return tf.where(x > low, x, low)  # unlike tf.maximum, this replaces NaN

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "minimum": self.minimum, "maximum": self.maximum}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Exp(_Neuron):
    """Computes ``base ** (shift + scale * x)``.

    As in Caffe, ``base ** shift`` is a constant factor and ``log(base) * scale`` one factor of the exponent. Both are
    rounded to float32.

    Args:
        base: float above 0, or None for e. Defaults to None.
        scale: float. Defaults to 1.
        shift: float. Defaults to 0.

    Input shape:
        Any shape.

    Output shape:
        Same as the input.
    """

    def __init__(self, base: float | None = None, scale: float = 1.0, shift: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.base = base
        self.scale = scale
        self.shift = shift
        log_base = 1.0 if base is None else math.log(base)
        with np.errstate(all="ignore"):  # Caffe's constants overflow silently as well
            self._inner = float(np.float32(log_base) * np.float32(scale))
            self._outer = float(np.exp(np.float64(log_base) * shift).astype(np.float32))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the powers."""
        y = tf.exp(x if self._inner == 1 else x * self._inner)
        return y if self._outer == 1 else y * self._outer

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "base": self.base, "scale": self.scale, "shift": self.shift}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Log(_Neuron):
    """Computes ``log(shift + scale * x) / log(base)``: NaN where the argument is negative, -inf where it is 0.

    Args:
        base: float above 0 other than 1, or None for e. Defaults to None.
        scale: float. Defaults to 1.
        shift: float. Defaults to 0.

    Input shape:
        Any shape.

    Output shape:
        Same as the input.
    """

    def __init__(self, base: float | None = None, scale: float = 1.0, shift: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.base = base
        self.scale = scale
        self.shift = shift

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the logarithms."""
        x = x if self.scale == 1 else x * self.scale
        y = tf.math.log(x if self.shift == 0 else x + self.shift)
        return y if self.base is None else y * (1 / math.log(self.base))

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "base": self.base, "scale": self.scale, "shift": self.shift}


@keras.saving.register_keras_serializable(package="caffe2tf")
class NegReLU(_Neuron):
    """Computes ``min(x, 0) + positive_slope * max(x, 0)``: a ReLU that passes the negative values.

    Args:
        positive_slope: float, the factor of positive values. Defaults to 0.

    Input shape:
        Any shape.

    Output shape:
        Same as the input.
    """

    def __init__(self, positive_slope: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.positive_slope = positive_slope

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the values, each multiplied by the slope of its sign."""
        y = tf.minimum(x, 0.0)
        return y if self.positive_slope == 0 else y + self.positive_slope * tf.maximum(x, 0.0)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "positive_slope": self.positive_slope}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Power(_Neuron):
    """Computes ``(shift + scale * x) ** power``: NaN where the base is negative and `power` is not an integer.

    If ``power * scale`` is 0, the result is the constant ``shift ** power`` (1 if `power` is 0), even where the input
    is NaN or infinite: Caffe does not read the input then. No gradient reaches the input in that case.

    Args:
        power: float.
        scale: float. Defaults to 1.
        shift: float. Defaults to 0.

    Input shape:
        Any shape.

    Output shape:
        Same as the input.
    """

    def __init__(self, power: float, scale: float = 1.0, shift: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.power = power
        self.scale = scale
        self.shift = shift

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the powers."""
        with np.errstate(all="ignore"):  # Caffe's constant may be infinite or NaN as well
            if np.float32(self.power) * np.float32(self.scale) == 0:
                value = np.power(np.float32(self.shift), np.float32(self.power))
                return tf.fill(tf.shape(x), tf.cast(value, x.dtype))
        x = x if self.scale == 1 else x * self.scale
        x = x if self.shift == 0 else x + self.shift
        return x if self.power == 1 else tf.pow(x, self.power)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "power": self.power, "scale": self.scale, "shift": self.shift}


@keras.saving.register_keras_serializable(package="caffe2tf")
class SlopedReLU(_Neuron):
    """Computes ``max(x, 0) + negative_slope * min(x, 0)`` for a slope of any sign.

    ``keras.layers.LeakyReLU`` takes no negative slope.

    Args:
        negative_slope: float. The factor of negative values.

    Input shape:
        Any shape.

    Output shape:
        Same as the input.
    """

    def __init__(self, negative_slope: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.negative_slope = negative_slope

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the values, each multiplied by the slope of its sign."""
        return tf.maximum(x, 0.0) + self.negative_slope * tf.minimum(x, 0.0)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "negative_slope": self.negative_slope}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Swish(_Neuron):
    """Computes ``x * sigmoid(beta * x)``.

    ``keras.activations.silu`` is the case ``beta == 1``.

    Args:
        beta: float.

    Input shape:
        Any shape.

    Output shape:
        Same as the input.
    """

    def __init__(self, beta: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.beta = beta

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the gated values."""
        return x * tf.sigmoid(x * self.beta)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "beta": self.beta}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Threshold(_Neuron):
    """Returns 1 where ``x > threshold`` and 0 elsewhere, also where x is NaN. It has no gradient.

    Args:
        threshold: float. Defaults to 0.

    Input shape:
        Any shape.

    Output shape:
        Same as the input, in the input's dtype.
    """

    def __init__(self, threshold: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return zeros and ones."""
        return tf.cast(x > self.threshold, x.dtype)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "threshold": self.threshold}


@keras.saving.register_keras_serializable(package="caffe2tf")
class UnscaledDropout(_Neuron):
    """Dropout that scales at inference: ``x * (1 - rate)``.

    In training each value is set to 0 with probability `rate`, and the others are kept as they are. This is Caffe's
    dropout with ``scale_train: false``. ``keras.layers.Dropout`` divides by ``1 - rate`` in training instead.

    Args:
        rate: float between 0 and 1. The probability that a value is set to 0.

    Call arguments:
        x: the input.
        training: bool, whether values are dropped. Defaults to False.

    Input shape:
        Any shape.

    Output shape:
        Same as the input.
    """

    def __init__(self, rate: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self._seeds = keras.random.SeedGenerator()

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:  # noqa: FBT001, FBT002 - Keras' own signature
        """Return ``x`` with some values set to 0 in training, else ``x * (1 - rate)``."""
        keep = 1 - self.rate
        return keras.random.dropout(x, self.rate, seed=self._seeds) * keep if training else x * keep

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "rate": self.rate}
