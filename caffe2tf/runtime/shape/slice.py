"""Slice: cuts a tensor into pieces."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

__all__ = ["Slice"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class Slice(keras.layers.Layer):
    """Cuts a tensor along one axis; returns a list of the pieces.

    Args:
        axis: the axis, not negative.
        points: the index at which each piece but the first begins, ascending.
        pieces: instead of points, into how many equal pieces.
    """

    def __init__(self, axis: int, points: Sequence[int] = (), pieces: int | None = None, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.points = tuple(points)
        self.pieces = pieces

    def call(self, x: tf.Tensor) -> list[tf.Tensor]:
        """Any shape."""
        if self.pieces is not None:
            return list(tf.split(x, self.pieces, axis=self.axis))
        before = (slice(None),) * self.axis
        return [x[(*before, slice(a, b))] for a, b in zip((0, *self.points), (*self.points, None), strict=True)]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> list[tuple[int | None, ...]]:
        """The shape of each piece."""
        extent = input_shape[self.axis]
        sizes: list[int | None]
        if self.pieces is not None:
            sizes = [None if extent is None else extent // self.pieces] * self.pieces
        else:
            sizes = [b - a for a, b in zip((0, *self.points), self.points, strict=False)]
            sizes.append(None if extent is None else extent - (0, *self.points)[-1])
        return [(*input_shape[: self.axis], size, *input_shape[self.axis + 1 :]) for size in sizes]

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "axis": self.axis, "points": self.points, "pieces": self.pieces}
