"""Slice: splits a tensor along one axis."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Slice"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Slice(keras.layers.Layer):
    """Splits a tensor along one axis into a list of tensors.

    Args:
        axis: int, 0 or greater. The axis to split.
        points: sequence of ints, ascending. The index at which each piece but the first begins; the last piece
            reaches to the end. Defaults to none: one piece.
        pieces: int. The number of equal pieces, which must divide the extent of the axis. If given, `points` is
            ignored. Defaults to None.

    Input shape:
        Any shape.

    Output shape:
        A list with the shape of each piece: the input shape with another extent along `axis`.
    """

    def __init__(self, axis: int, points: Sequence[int] = (), pieces: int | None = None, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.points = tuple(points)
        self.pieces = pieces

    def call(self, x: tf.Tensor) -> list[tf.Tensor]:
        """Slice the input."""
        if self.pieces is not None:
            return list(tf.split(x, self.pieces, axis=self.axis))
        before = (slice(None),) * self.axis
        return [x[(*before, slice(a, b))] for a, b in zip((0, *self.points), (*self.points, None), strict=True)]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> list[tuple[int | None, ...]]:
        """Return the shape of each piece."""
        extent = input_shape[self.axis]
        sizes: list[int | None]
        if self.pieces is not None:
            sizes = [None if extent is None else extent // self.pieces] * self.pieces
        else:
            sizes = [b - a for a, b in zip((0, *self.points), self.points, strict=False)]
            sizes.append(None if extent is None else extent - (0, *self.points)[-1])
        return [(*input_shape[: self.axis], size, *input_shape[self.axis + 1 :]) for size in sizes]

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis, "points": self.points, "pieces": self.pieces}
