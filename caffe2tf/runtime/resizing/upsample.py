"""UpsampleByMask: puts values back where max pooling took them from (SegNet)."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["UpsampleByMask"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class UpsampleByMask(keras.layers.Layer):
    """Puts each value at the position that a mask gives, and 0 elsewhere.

    A position is ``row * width + column`` within the output of its channel, as in the second output of
    `MaxPoolingWithMask`. A negative position stands for an empty window, whose value is dropped. If several values have
    the same position, the last one in row-major order is kept, as in Caffe.

    Args:
        size: pair of ints or None. Height and width of the output. None if they follow from the input's by `factor`
            and `extra`: ``n * factor + extra`` for an extent of ``n``. Defaults to None.
        factor: int, or pair of ints for the height and the width. Defaults to 1.
        extra: int, or pair of ints for the height and the width. Defaults to 0.

    Input shape:
        A list of two tensors, values and mask, both ``(N, H, W, C)``. `H` and `W` may be unknown until the layer is
        called.

    Output shape:
        ``(N, size[0], size[1], C)``, or the height and width by the formula above.

    Raises:
        tf.errors.InvalidArgumentError: a position of the mask is beyond the output.
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
        self.autocast = False  # float16 would round positions above 2048
        self.size = None if size is None else (size[0], size[1])
        self.factor = (factor, factor) if isinstance(factor, int) else (factor[0], factor[1])
        self.extra = (extra, extra) if isinstance(extra, int) else (extra[0], extra[1])

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Return the values at their positions."""
        x, mask = tf.cast(inputs[0], self.compute_dtype), inputs[1]
        dynamic = tf.shape(x)
        batch, channels = dynamic[0], dynamic[3]
        rows, columns = (self._extent(i, x.shape[i + 1] or dynamic[i + 1]) for i in (0, 1))
        place = tf.cast(mask, tf.int32)
        message = "the mask has a position beyond the output; it must be that of a pooling of an input of this size"
        tf.debugging.assert_less(tf.reduce_max(place), rows * columns, message)
        first = tf.range(batch)[:, None, None, None] * (rows * columns)
        target = tf.reshape(tf.where(place < 0, -1, (first + place) * channels + tf.range(channels)), [-1])
        # Within a channel, the indices of the input ascend in Caffe's order: Caffe writes the greatest one last.
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
        """Return the output shape, with None for an extent that follows from an unknown one."""
        x = input_shape[0]
        known = [n if n is None and self.size is None else self._extent(i, n or 0) for i, n in enumerate(x[1:3])]
        return (x[0], *known, x[3])

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "size": self.size, "factor": self.factor, "extra": self.extra}
