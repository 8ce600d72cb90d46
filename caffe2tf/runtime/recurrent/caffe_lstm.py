"""SequenceLSTM: an LSTM over the rows of a matrix, with markers that restart its sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from caffe2tf.runtime.recurrent.recurrent import lstm_unit
from caffe2tf.runtime.vision.convolution import known_shape

__all__ = ["SequenceLSTM"]


@keras.saving.register_keras_serializable(package="caffe2tf")
class SequenceLSTM(keras.layers.Layer):
    """An LSTM over the rows of a matrix, as the caffe-lstm project computes it.

    Unlike ``keras.layers.LSTM``, it has no batch axis: the rows of several sequences (streams) alternate. Row
    ``t * streams + n`` of the input, and of the output, is step t of stream n. With the gates i, f, o and g, in this
    order, each step computes::

        i, f, o, g = split(x[t] @ kernel + keep[t] * h[t - 1] @ recurrent_kernel + bias, 4)
        c[t] = keep[t] * sigmoid(f) * c[t - 1] + sigmoid(i) * tanh(g)
        h[t] = sigmoid(o) * tanh(c[t])

    A stream restarts at a step where `keep` is 0. Without markers, all streams start at the first step and run to the
    end. With markers, `keep` of stream n at step t is 0 if marker ``t + n`` is 0, else 1. The index ``t + n`` is that
    of caffe-lstm.

    Args:
        units: int. The size of the state.
        streams: int. The number of sequences. It must divide the number of rows. Defaults to 1.

    Input shape:
        ``x`` of shape ``(rows, ...)``, whose values after the first axis form one vector; or a list of ``x`` and the
        markers, of shape ``(rows,)`` or ``(rows, 1)``.

    Output shape:
        ``(rows, units)``: h of all steps.

    Weights:
        ``kernel``: ``(values of a row, 4 * units)``. ``bias``: ``(4 * units,)``. ``recurrent_kernel``:
        ``(units, 4 * units)``.
    """

    def __init__(self, units: int, *, streams: int = 1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.streams = streams

    def build(self, input_shape: Sequence[object]) -> None:
        """Create the kernels and the bias."""
        wide = 4 * self.units
        self.kernel = self.add_weight(name="kernel", shape=(math.prod(_shape_of_first(input_shape)[1:]), wide))
        self.bias = self.add_weight(name="bias", shape=(wide,), initializer="zeros")
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, wide), initializer="orthogonal"
        )

    def call(self, inputs: tf.Tensor | Sequence[tf.Tensor]) -> tf.Tensor:
        """Run all steps in turn."""
        x, *markers = inputs if isinstance(inputs, list | tuple) else [inputs]
        rows = known_shape(x)[0]
        count = rows // self.streams
        driven = tf.reshape(x, (rows, self.kernel.shape[0])) @ self.kernel + self.bias
        steps, streams = tf.range(count)[:, None], tf.range(self.streams)
        running = steps + 0 * streams > 0
        keep = tf.gather(tf.reshape(markers[0], [-1]), steps + streams) != 0 if markers else running
        begin = tf.zeros((self.streams, self.units), driven.dtype)
        elements = tf.reshape(driven, (count, self.streams, 4 * self.units)), tf.cast(keep, driven.dtype)[..., None]
        hidden, _ = tf.scan(self.step, elements, (begin, begin))
        return tf.reshape(hidden, (rows, self.units))

    def step(
        self, states: tuple[tf.Tensor, tf.Tensor], inputs: tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return h and c after a step, from those before it, the input part of the gates, and `keep`."""
        hidden, cell = states
        driven, keep = inputs
        cell, hidden = lstm_unit(cell, keep * (hidden @ self.recurrent_kernel) + driven, keep)
        return hidden, cell

    def compute_output_shape(self, input_shape: Sequence[object]) -> tuple[int | None, ...]:
        """Return ``(rows, units)``."""
        return (_shape_of_first(input_shape)[0], self.units)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "units": self.units, "streams": self.streams}


def _shape_of_first(shapes: Sequence[object]) -> tuple[int, ...]:
    """Return the first of a list of shapes, or the only shape."""
    return tuple(shapes[0] if isinstance(shapes[0], list | tuple) else shapes)
