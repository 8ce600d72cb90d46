"""Unstack: splits a tensor along one axis and removes the axis."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["Unstack"]

Extents = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Unstack(keras.layers.Layer):
    """Returns what a tensor holds at each of the first indices of an axis, without that axis.

    Unlike ``tf.unstack``, it may leave out the last indices.

    Args:
        axis: int, 0 or greater. The axis to unstack.
        count: int, 1 or greater. The number of indices, from 0 on.

    Input shape:
        Any shape with an extent of at least `count` along `axis`.

    Output shape:
        The input shape without `axis`, `count` times. The output is a list, or a single tensor if `count` is 1.
    """

    def __init__(self, axis: int, count: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.count = count

    def call(self, x: tf.Tensor) -> tf.Tensor | list[tf.Tensor]:
        """Gather each index of the axis."""
        slices = [tf.gather(x, i, axis=self.axis) for i in range(self.count)]
        return slices[0] if self.count == 1 else slices

    def compute_output_shape(self, input_shape: Extents) -> Extents | list[Extents]:
        """Return the input shape without the axis, once for each output."""
        rest = (*input_shape[: self.axis], *input_shape[self.axis + 1 :])
        return rest if self.count == 1 else [rest] * self.count

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis, "count": self.count}
