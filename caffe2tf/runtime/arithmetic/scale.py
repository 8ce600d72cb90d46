"""Scale and Bias: factors and offsets along chosen axes, as weights or as a second input."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["Bias", "BiasBy", "Scale", "ScaleBy"]


class _AlongAxes(keras.layers.Layer):
    """Base class: a tensor ``x`` and values that have some of its axes and are broadcast along the others.

    Args:
        axis: int or sequence of ints. The axes of ``x`` that the values have, in ascending order;
            ``()`` for a single number. Defaults to -1.
    """

    def __init__(self, axis: int | tuple[int, ...] = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = (axis,) if isinstance(axis, int) else tuple(axis)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": list(self.axis)}

    def _spread(self, values: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Return ``values`` with axes of extent 1 inserted, so that they broadcast with ``x``."""
        rank = len(x.shape)
        covered = {a % rank for a in self.axis}
        spread = tf.convert_to_tensor(values)
        for missing in range(rank):
            if missing not in covered:
                spread = tf.expand_dims(spread, missing)
        return spread


class _ByWeights(_AlongAxes):
    """Base class of `Scale` and `Bias`, whose values are weights."""

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of ``x``."""
        return input_shape

    def _add_values(self, input_shape: tuple[int | None, ...], name: str, initializer: str) -> keras.Variable:
        extents = [input_shape[a] for a in self.axis]
        if None in extents:
            raise ValueError(f"the extents along the axes {self.axis} must be known, not {tuple(input_shape)}")
        return self.add_weight(shape=extents, initializer=initializer, name=name)


@keras.saving.register_keras_serializable(package="caffe2tf")
class Scale(_ByWeights):
    """Computes ``gamma * x + beta`` with trained factors and offsets along chosen axes.

    This is Caffe's Scale layer with one bottom, which Keras lacks. ``Scale()`` has a factor and an offset for each
    channel of images ``(N, H, W, C)``, and ``Scale(axis=(1, 2))`` for each pixel.

    Args:
        axis: int or sequence of ints. The axes of the input that `gamma` and `beta` have, in ascending order;
            ``()`` for a single number. Defaults to -1.
        center: bool. Whether `beta` is added. Defaults to True.

    Input shape:
        Any shape. The extents along `axis` must be known when the layer is built.

    Output shape:
        Same as the input.

    Weights:
        `gamma`, initially 1, and `beta`, initially 0; each has the extents of the input along `axis`.

    Raises:
        ValueError: the layer is built for an input whose extents along `axis` are unknown.
    """

    def __init__(self, axis: int | tuple[int, ...] = -1, *, center: bool = True, **kwargs: object) -> None:
        super().__init__(axis, **kwargs)
        self.center = center

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        self.gamma = self._add_values(input_shape, "gamma", "ones")
        self.beta = self._add_values(input_shape, "beta", "zeros") if self.center else None

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the scaled input."""
        scaled = x * self._spread(self.gamma, x)
        return scaled if self.beta is None else scaled + self._spread(self.beta, x)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "center": self.center}


@keras.saving.register_keras_serializable(package="caffe2tf")
class Bias(_ByWeights):
    """Computes ``x + bias`` with trained offsets along chosen axes.

    This is Caffe's Bias layer with one bottom, which Keras lacks.

    Args:
        axis: int or sequence of ints. The axes of the input that `bias` has, in ascending order;
            ``()`` for a single number. Defaults to -1.

    Input shape:
        Any shape. The extents along `axis` must be known when the layer is built.

    Output shape:
        Same as the input.

    Weights:
        `bias`, initially 0; it has the extents of the input along `axis`.

    Raises:
        ValueError: the layer is built for an input whose extents along `axis` are unknown.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the bias."""
        self.bias = self._add_values(input_shape, "bias", "zeros")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the input with the offsets added."""
        return x + self._spread(self.bias, x)


class _ByInput(_AlongAxes):
    """Base class of `ScaleBy` and `BiasBy`, whose values are a second input."""

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return the shape of ``x``."""
        return input_shape[0]


@keras.saving.register_keras_serializable(package="caffe2tf")
class ScaleBy(_ByInput):
    """Multiplies a tensor ``x`` by a tensor ``a`` that has some of its axes and is broadcast along the others.

    This is Caffe's Scale layer with two bottoms. ``ScaleBy(axis=(0, 3))`` multiplies images ``(N, H, W, C)`` by
    factors ``(N, C)``.

    Args:
        axis: int or sequence of ints. The axes of ``x`` that ``a`` has, in ascending order;
            ``()`` for a single number. Defaults to -1.

    Input shape:
        A list of two tensors: ``x`` of any shape, and ``a`` with the extents of ``x`` along `axis`.

    Output shape:
        The shape of ``x``.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Return the product of the two inputs."""
        x, a = inputs
        return x * self._spread(a, x)


@keras.saving.register_keras_serializable(package="caffe2tf")
class BiasBy(_ByInput):
    """Adds to a tensor ``x`` a tensor ``b`` that has some of its axes and is broadcast along the others.

    This is Caffe's Bias layer with two bottoms. ``BiasBy(axis=(0, 3))`` adds to images ``(N, H, W, C)`` offsets
    ``(N, C)``.

    Args:
        axis: int or sequence of ints. The axes of ``x`` that ``b`` has, in ascending order;
            ``()`` for a single number. Defaults to -1.

    Input shape:
        A list of two tensors: ``x`` of any shape, and ``b`` with the extents of ``x`` along `axis`.

    Output shape:
        The shape of ``x``.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Return the sum of the two inputs."""
        x, b = inputs
        return x + self._spread(b, x)
