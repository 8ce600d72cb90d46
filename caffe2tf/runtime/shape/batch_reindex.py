"""BatchReindex: selects items of a tensor by index."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["BatchReindex"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class BatchReindex(keras.layers.Layer):
    """Selects items of a tensor by index: ``y[i] = x[index[i]]`` along one axis.

    Items may be repeated, reordered or left out. As in Caffe, the indices are floating-point numbers; their fractions
    are dropped. On a CPU, an index outside ``[0, items)`` raises an error.

    Args:
        axis: int, 0 or greater. The axis of ``x`` along which the items lie. Defaults to 0, the batch axis.

    Input shape:
        A list of two tensors: ``x`` of any shape, and ``index`` of shape ``(K,)``.

    Output shape:
        The shape of ``x`` with the extent K along `axis`.
    """

    def __init__(self, axis: int = 0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # float16 holds no index above 2048 exactly
        self.axis = axis

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Gather the items of the first tensor that the second tensor names."""
        x, index = inputs
        return tf.gather(tf.cast(x, self.compute_dtype), tf.cast(index, tf.int32), axis=self.axis)

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return the shape of the first input with one item for each index."""
        first, index = input_shape
        return (*first[: self.axis], index[0], *first[self.axis + 1 :])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}
