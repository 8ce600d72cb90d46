"""Factors and offsets along chosen axes, trained or computed."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["Bias", "BiasBy", "Scale", "ScaleBy"]


class _AlongAxes(keras.layers.Layer):
    """A tensor x and values of the extents that x has along `axis`, which are repeated along its other axes.

    Args:
        axis: an axis, or several in ascending order; () for a single number.
    """

    def __init__(self, axis: int | tuple[int, ...] = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = (axis,) if isinstance(axis, int) else tuple(axis)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": list(self.axis)}

    def _spread(self, values: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """``values`` with axes of extent 1 added, so that theirs stand where x has the axes `axis`."""
        rank = len(x.shape)
        covered = {a % rank for a in self.axis}
        spread = tf.convert_to_tensor(values)
        for missing in range(rank):
            if missing not in covered:
                spread = tf.expand_dims(spread, missing)
        return spread


class _ByWeights(_AlongAxes):
    """What `Scale` and `Bias` have in common: the values are weights."""

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of x."""
        return input_shape

    def _add_values(self, input_shape: tuple[int | None, ...], name: str, initializer: str) -> keras.Variable:
        extents = [input_shape[a] for a in self.axis]
        if None in extents:
            raise ValueError(f"the extents along the axes {self.axis} must be known, not {tuple(input_shape)}")
        return self.add_weight(shape=extents, initializer=initializer, name=name)


@keras.saving.register_keras_serializable(package="caffe2tf")
class Scale(_ByWeights):
    """``gamma * x + beta``, both of the extents that x has along `axis`, and repeated along its other axes.

    Args:
        axis: an axis, or several in ascending order; () for a single number.
        center: whether there is a beta.
    """

    def __init__(self, axis: int | tuple[int, ...] = -1, *, center: bool = True, **kwargs: object) -> None:
        super().__init__(axis, **kwargs)
        self.center = center

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes gamma and beta."""
        self.gamma = self._add_values(input_shape, "gamma", "ones")
        self.beta = self._add_values(input_shape, "beta", "zeros") if self.center else None

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape, and the same out."""
        scaled = x * self._spread(self.gamma, x)
        return scaled if self.beta is None else scaled + self._spread(self.beta, x)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "center": self.center}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Bias(_ByWeights):
    """``x + bias``, of the extents that x has along `axis`, and repeated along its other axes.

    Args:
        axis: an axis, or several in ascending order; () for a single number.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the bias."""
        self.bias = self._add_values(input_shape, "bias", "zeros")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape, and the same out."""
        return x + self._spread(self.bias, x)


class _ByInput(_AlongAxes):
    """What `ScaleBy` and `BiasBy` have in common: the values are a second input."""

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """That of x."""
        return input_shape[0]


@keras.saving.register_keras_serializable(package="caffe2tf")
class ScaleBy(_ByInput):
    """``x * a`` of two tensors; a's axes are those of x in `axis`, and it is repeated along the others.

    Args:
        axis: an axis, or several in ascending order; () for a single number.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """X and a; x's shape out."""
        x, a = inputs
        return x * self._spread(a, x)


@keras.saving.register_keras_serializable(package="caffe2tf")
class BiasBy(_ByInput):
    """``x + b`` of two tensors; b's axes are those of x in `axis`, and it is repeated along the others.

    Args:
        axis: an axis, or several in ascending order; () for a single number.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """X and b; x's shape out."""
        x, b = inputs
        return x + self._spread(b, x)
