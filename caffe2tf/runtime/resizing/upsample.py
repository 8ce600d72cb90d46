"""Upsampling to the places from which max pooling took its values."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["UpsampleByMask"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class UpsampleByMask(keras.layers.Layer):
    """Each value at the place that a mask names, and 0 elsewhere; of several for one place, the last stays.

    A place is ``row * width + column`` of its channel's output, as in the second output of MaxPoolingWithMask.

    Args:
        size: rows and columns of the output; None where they follow from the input's.
        factor: then, the output has ``n * factor + extra`` rows for n of the input: one number, or (height, width).
        extra: likewise.
    """

    def __init__(
        self,
        size: tuple[int, int] | None = None,
        *,
        factor: int | tuple[int, int] = 1,
        extra: int | tuple[int, int] = 0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.size = None if size is None else (size[0], size[1])
        self.factor = (factor, factor) if isinstance(factor, int) else (factor[0], factor[1])
        self.extra = (extra, extra) if isinstance(extra, int) else (extra[0], extra[1])

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Values and mask, both (batch, height, width, channels); (batch, rows, columns, channels) out."""
        x, mask = inputs
        dynamic = tf.shape(x)
        batch, channels = dynamic[0], dynamic[3]
        rows, columns = (self._extent(i, x.shape[i + 1] or dynamic[i + 1]) for i in (0, 1))
        place = tf.cast(mask, tf.int32)
        message = "a mask names a place beyond the output: is it of a pooling whose input had another size?"
        tf.debugging.assert_less(tf.reduce_max(place), rows * columns, message)
        first = tf.range(batch)[:, None, None, None] * (rows * columns)
        target = tf.reshape(tf.where(place < 0, -1, (first + place) * channels + tf.range(channels)), [-1])
        # Within a channel, positions in the input ascend in Caffe's order: the greatest is what Caffe writes last.
        own, count = tf.range(tf.size(x)), batch * rows * columns * channels
        last = tf.gather(tf.math.unsorted_segment_max(own, target, count), tf.maximum(target, 0))
        stays = tf.where(last == own, tf.reshape(x, [-1]), 0)
        y = tf.math.unsorted_segment_sum(stays, target, count)
        return tf.ensure_shape(
            tf.reshape(y, [batch, rows, columns, channels]), self.compute_output_shape([x.shape, mask.shape])
        )

    def _extent(self, i: int, n: int | tf.Tensor) -> int | tf.Tensor:
        return n * self.factor[i] + self.extra[i] if self.size is None else self.size[i]

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """The output's extents; None where they follow from extents that are None."""
        x = input_shape[0]
        known = [n if n is None and self.size is None else self._extent(i, n or 0) for i, n in enumerate(x[1:3])]
        return (x[0], *known, x[3])

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "size": self.size, "factor": self.factor, "extra": self.extra}
