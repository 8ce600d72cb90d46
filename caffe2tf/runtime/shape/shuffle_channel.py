"""Channels of several groups, dealt out in turn."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["ShuffleChannel"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class ShuffleChannel(keras.layers.Layer):
    """The first channel of every group, then the second of every group, and so on.

    Args:
        groups: count of groups; the count of channels is a multiple of it.
        axis: the axis of the channels.
    """

    def __init__(self, groups: int, axis: int = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.groups, self.axis = groups, axis

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The same channels in another order."""
        dynamic, axis = tf.shape(x), self.axis % x.shape.rank
        extents = [dynamic[i] if n is None else n for i, n in enumerate(x.shape)]
        split = [*extents[:axis], self.groups, extents[axis] // self.groups, *extents[axis + 1 :]]
        order = list(range(len(split)))
        order[axis], order[axis + 1] = axis + 1, axis
        return tf.ensure_shape(tf.reshape(tf.transpose(tf.reshape(x, split), order), extents), x.shape)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "groups": self.groups, "axis": self.axis}
