"""ArgMax and FlatArgMax: the positions of the largest values, in Caffe's order of equal values."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["ArgMax", "FlatArgMax"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class ArgMax(keras.layers.Layer):
    """Returns the indices of the `top_k` largest values along an axis, or the values, in descending order of value.

    As in Caffe, the indices are floating-point numbers, and of equal values the last comes first. ``tf.argmax`` and
    ``tf.math.top_k`` return the first of equal values first. Indices are float32 under mixed precision.

    Args:
        axis: int, 0 or greater. The axis to search.
        top_k: int. The number of indices or values. Defaults to 1.
        values: bool. Whether to return the values instead of their indices. Defaults to False.

    Input shape:
        Any shape with an extent of at least `top_k` along `axis`.

    Output shape:
        The input shape with the extent `top_k` along `axis`.
    """

    def __init__(self, axis: int, top_k: int = 1, *, values: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if not values and self.compute_dtype in ("float16", "bfloat16"):  # they hold no large index exactly
            self.dtype_policy = "float32"
        self.axis = axis
        self.top_k = top_k
        self.values = values

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the indices or the values along the axis."""
        order = [a for a in range(len(x.shape)) if a != self.axis] + [self.axis]
        if order == sorted(order):
            return _largest(x, self.top_k)[self.values]
        found = _largest(tf.transpose(x, order), self.top_k)[self.values]
        return tf.transpose(found, [order.index(a) for a in range(len(order))])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape with the extent `top_k` along the axis."""
        return (*input_shape[: self.axis], self.top_k, *input_shape[self.axis + 1 :])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis, "top_k": self.top_k, "values": self.values}


@keras.saving.register_keras_serializable(package="caffe2tf")
class FlatArgMax(keras.layers.Layer):
    """Returns the indices of the `top_k` largest of all values of each item, in descending order of value.

    An index counts the values of the flattened item, in the order of the tensor's axes. As in Caffe, the indices are
    floating-point numbers, and of equal values the last comes first. The output is float32 under mixed precision.

    Args:
        rank: int, 3 or greater. The number of axes of the output: Caffe gives it as many as its input has, 3 at
            least. Defaults to 3.
        top_k: int. The number of indices. Defaults to 1.
        with_values: bool. Whether the values follow the indices, at index 1 of axis 1. Defaults to False.

    Input shape:
        ``(N, ...)`` with at least `top_k` values for each item.

    Output shape:
        ``(N, 1, top_k, 1, ...)``, or ``(N, 2, top_k, 1, ...)`` if `with_values` is true.
    """

    def __init__(self, rank: int = 3, top_k: int = 1, *, with_values: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if self.compute_dtype in ("float16", "bfloat16"):  # they hold no large index exactly
            self.dtype_policy = "float32"
        self.rank = rank
        self.top_k = top_k
        self.with_values = with_values

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the indices, and the values if they are requested."""
        found = _largest(tf.reshape(x, [tf.shape(x)[0], -1]), self.top_k)
        result = tf.stack(found if self.with_values else found[:1], axis=1)
        return tf.reshape(result, [-1, *self.compute_output_shape((None,))[1:]])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return ``(N, 1 or 2, top_k, 1, ...)``."""
        return (input_shape[0], 2 if self.with_values else 1, self.top_k, *([1] * (self.rank - 3)))

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {"rank": self.rank, "top_k": self.top_k, "with_values": self.with_values}
        return {**super().get_config(), **own}


def _largest(x: tf.Tensor, top_k: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the indices of the largest values along the last axis, and the values.

    The axis is searched in reverse: TensorFlow puts the first of equal values first, Caffe the last.
    """
    values, indices = tf.math.top_k(tf.reverse(x, [-1]), top_k)
    return tf.cast(tf.shape(x)[-1] - 1 - indices, x.dtype), values
