"""Where the largest values are; of equal values the last comes first, as in Caffe."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["ArgMax", "FlatArgMax"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class ArgMax(keras.layers.Layer):
    """Indices of the largest values along an axis, as floating-point numbers, the largest value first.

    Args:
        axis: the axis that is searched.
        top_k: how many.
        values: whether the values are given, not the indices.
    """

    def __init__(self, axis: int, top_k: int = 1, *, values: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.top_k = top_k
        self.values = values

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """`top_k` indices or values along the axis."""
        order = [a for a in range(len(x.shape)) if a != self.axis] + [self.axis]
        if order == sorted(order):
            return _largest(x, self.top_k)[self.values]
        found = _largest(tf.transpose(x, order), self.top_k)[self.values]
        return tf.transpose(found, [order.index(a) for a in range(len(order))])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """`top_k` along the axis."""
        return (*input_shape[: self.axis], self.top_k, *input_shape[self.axis + 1 :])

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        return {**super().get_config(), "axis": self.axis, "top_k": self.top_k, "values": self.values}


@keras.saving.register_keras_serializable(package="caffe2tf")
class FlatArgMax(keras.layers.Layer):
    """Indices of the largest of all values of each index along axis 0: (batch, 1, top_k, 1...).

    Args:
        rank: count of the output's axes, 3 or more.
        top_k: how many.
        with_values: whether the values follow the indices, along axis 1.
    """

    def __init__(self, rank: int = 3, top_k: int = 1, *, with_values: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.rank = rank
        self.top_k = top_k
        self.with_values = with_values

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Indices, and values."""
        found = _largest(tf.reshape(x, [tf.shape(x)[0], -1]), self.top_k)
        result = tf.stack(found if self.with_values else found[:1], axis=1)
        return tf.reshape(result, [-1, *self.compute_output_shape((None,))[1:]])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, 1 or 2, top_k, 1...)."""
        return (input_shape[0], 2 if self.with_values else 1, self.top_k, *([1] * (self.rank - 3)))

    def get_config(self) -> dict[str, object]:
        """Arguments."""
        own = {"rank": self.rank, "top_k": self.top_k, "with_values": self.with_values}
        return {**super().get_config(), **own}


def _largest(x: tf.Tensor, top_k: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Indices along the last axis, and values; read backwards, as TensorFlow puts the first of equal values first."""
    values, indices = tf.math.top_k(tf.reverse(x, [-1]), top_k)
    return tf.cast(tf.shape(x)[-1] - 1 - indices, x.dtype), values
