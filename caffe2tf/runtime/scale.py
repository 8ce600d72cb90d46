"""Factors and offsets along chosen axes, trained or computed."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["Bias", "BiasBy", "Scale", "ScaleBy"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Scale(keras.layers.Layer):
    """``gamma * x + beta``, both of the extents that x has along `axis`, and repeated along its other axes.

    Args:
        axis: an axis, or several in ascending order; () for a single number.
        center: whether there is a beta.
    """

    def __init__(self, axis: int | tuple[int, ...] = -1, *, center: bool = True, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis, self.center = _as_axes(axis), center

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes gamma and beta."""
        shape = _extents_along(input_shape, self.axis)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta") if self.center else None

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape, and the same out."""
        scaled = x * _spread(self.gamma, self.axis, len(x.shape))
        return scaled if self.beta is None else scaled + _spread(self.beta, self.axis, len(x.shape))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": list(self.axis), "center": self.center}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Bias(keras.layers.Layer):
    """``x + bias``, of the extents that x has along `axis`, and repeated along its other axes.

    Args:
        axis: an axis, or several in ascending order; () for a single number.
    """

    def __init__(self, axis: int | tuple[int, ...] = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = _as_axes(axis)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the bias."""
        self.bias = self.add_weight(shape=_extents_along(input_shape, self.axis), initializer="zeros", name="bias")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape, and the same out."""
        return x + _spread(self.bias, self.axis, len(x.shape))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": list(self.axis)}


@keras.saving.register_keras_serializable(package="caffe2tf")
class ScaleBy(keras.layers.Layer):
    """``x * a`` of two tensors; a's axes are those of x in `axis`, and it is repeated along the others.

    Args:
        axis: an axis, or several in ascending order; () for a single number.
    """

    def __init__(self, axis: int | tuple[int, ...] = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = _as_axes(axis)

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """X and a; x's shape out."""
        x, a = inputs
        return x * _spread(a, self.axis, len(x.shape))

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """That of x."""
        return input_shape[0]

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": list(self.axis)}


@keras.saving.register_keras_serializable(package="caffe2tf")
class BiasBy(keras.layers.Layer):
    """``x + b`` of two tensors; b's axes are those of x in `axis`, and it is repeated along the others.

    Args:
        axis: an axis, or several in ascending order; () for a single number.
    """

    def __init__(self, axis: int | tuple[int, ...] = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = _as_axes(axis)

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """X and b; x's shape out."""
        x, b = inputs
        return x + _spread(b, self.axis, len(x.shape))

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """That of x."""
        return input_shape[0]

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": list(self.axis)}


def _as_axes(axis: int | tuple[int, ...] | list[int]) -> tuple[int, ...]:
    return (axis,) if isinstance(axis, int) else tuple(axis)


def _extents_along(shape: tuple[int | None, ...], axes: tuple[int, ...]) -> list[int]:
    extents = [d for d in (shape[a] for a in axes) if d is not None]
    if len(extents) != len(axes):
        raise ValueError(f"the extents along the axes {axes} must be known, not {tuple(shape)}")
    return extents


def _spread(values: tf.Tensor, axes: tuple[int, ...], rank: int) -> tf.Tensor:
    """``values`` with axes of extent 1 added, so that theirs stand at ``axes`` of a tensor of ``rank`` axes."""
    covered = {a % rank for a in axes}
    spread = tf.convert_to_tensor(values)
    for missing in range(rank):
        if missing not in covered:
            spread = tf.expand_dims(spread, missing)
    return spread
