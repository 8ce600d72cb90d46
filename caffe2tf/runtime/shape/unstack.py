"""Unstack: the slices of a tensor along one axis, without that axis."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["Unstack"]

Extents = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Unstack(keras.layers.Layer):
    """What a tensor holds at the first indices of an axis: one tensor for each index, or the tensor if there is one.

    Args:
        axis: which axis.
        count: how many indices.
    """

    def __init__(self, axis: int, count: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.count = count

    def call(self, x: tf.Tensor) -> tf.Tensor | list[tf.Tensor]:
        """Tensors with one axis less."""
        slices = [tf.gather(x, i, axis=self.axis) for i in range(self.count)]
        return slices[0] if self.count == 1 else slices

    def compute_output_shape(self, input_shape: Extents) -> Extents | list[Extents]:
        """Without the axis."""
        rest = (*input_shape[: self.axis], *input_shape[self.axis + 1 :])
        return rest if self.count == 1 else [rest] * self.count

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": self.axis, "count": self.count}
