"""ShuffleChannel: interleaves groups of channels."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["ShuffleChannel"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class ShuffleChannel(keras.layers.Layer):
    """Interleaves groups of channels, as ShuffleNet does between grouped convolutions.

    The output holds the first channel of every group, then the second channel of every group, and so on: with C
    channels, output channel ``j * groups + i`` is input channel ``i * (C / groups) + j``.

    Args:
        groups: int. The number of groups. It must divide the number of channels.
        axis: int. The channel axis. Defaults to -1.

    Input shape:
        Any shape.

    Output shape:
        The input shape.
    """

    def __init__(self, groups: int, axis: int = -1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.groups, self.axis = groups, axis

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Reorder the channels."""
        dynamic, axis = tf.shape(x), self.axis % x.shape.rank
        extents = [dynamic[i] if n is None else n for i, n in enumerate(x.shape)]
        split = [*extents[:axis], self.groups, extents[axis] // self.groups, *extents[axis + 1 :]]
        order = list(range(len(split)))
        order[axis], order[axis + 1] = axis + 1, axis
        return tf.ensure_shape(tf.reshape(tf.transpose(tf.reshape(x, split), order), extents), x.shape)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "groups": self.groups, "axis": self.axis}
