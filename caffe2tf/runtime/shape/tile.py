"""Tile: repeats a tensor along one axis."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["Tile"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Tile(keras.layers.Layer):
    """Repeats a tensor along one axis: ``[1, 2]`` becomes ``[1, 2, 1, 2]`` with two tiles.

    Args:
        axis: int, 0 or greater. The axis along which the tensor is repeated.
        tiles: int, 1 or greater. The number of copies.

    Input shape:
        Any shape.

    Output shape:
        The input shape with the extent along `axis` multiplied by `tiles`.
    """

    def __init__(self, axis: int, tiles: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.tiles = tiles

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Tile the input."""
        return tf.tile(x, [self.tiles if axis == self.axis else 1 for axis in range(len(x.shape))])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape with a multiple of the extent along the axis."""
        extent = input_shape[self.axis]
        many = None if extent is None else extent * self.tiles
        return (*input_shape[: self.axis], many, *input_shape[self.axis + 1 :])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis, "tiles": self.tiles}
