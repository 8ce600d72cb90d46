"""Tile: repeats a tensor along one axis."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["Tile"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Tile(keras.layers.Layer):
    """A tensor several times behind itself along one axis.

    Args:
        axis: the axis, not negative.
        tiles: how often.
    """

    def __init__(self, axis: int, tiles: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.tiles = tiles

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape."""
        return tf.tile(x, [self.tiles if axis == self.axis else 1 for axis in range(len(x.shape))])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """A multiple along the axis."""
        extent = input_shape[self.axis]
        many = None if extent is None else extent * self.tiles
        return (*input_shape[: self.axis], many, *input_shape[self.axis + 1 :])

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": self.axis, "tiles": self.tiles}
