"""SequenceLSTM: an LSTM over the rows of a matrix, whose streams begin anew where a second input says so."""

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
    """An LSTM over rows: row ``t * streams + n`` of the input is step t of stream n, and so in the output.

    The four gates, in the order i, f, o, g, are ``x[t] W_x + keep[t] h[t - 1] W_h + b``;
    ``c[t] = keep[t] sigmoid(f) c[t - 1] + sigmoid(i) tanh(g)``, ``h[t] = sigmoid(o) tanh(c[t])``; h is the output.

    Inputs: x (rows, ...); or a list of x and markers. Where marker ``t + n`` is 0, stream n begins anew at step t: keep
    is 0, else 1. Without markers all streams begin at the first step. Output: (rows, units).

    Args:
        units: values of a state.
        streams: how many sequences there are.
    """

    def __init__(self, units: int, *, streams: int = 1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.streams = streams

    def build(self, input_shape: Sequence[object]) -> None:
        """Makes the kernels of x and of the state, and the bias."""
        wide = 4 * self.units
        self.kernel = self.add_weight(name="kernel", shape=(math.prod(_shape_of_first(input_shape)[1:]), wide))
        self.bias = self.add_weight(name="bias", shape=(wide,), initializer="zeros")
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, wide), initializer="orthogonal"
        )

    def call(self, inputs: tf.Tensor | Sequence[tf.Tensor]) -> tf.Tensor:
        """All steps, one after the other."""
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
        """State after a step (h and c), from those before it, what drives it, and what they are multiplied by."""
        hidden, cell = states
        driven, keep = inputs
        cell, hidden = lstm_unit(cell, keep * (hidden @ self.recurrent_kernel) + driven, keep)
        return hidden, cell

    def compute_output_shape(self, input_shape: Sequence[object]) -> tuple[int | None, ...]:
        """As many rows."""
        return (_shape_of_first(input_shape)[0], self.units)

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        return {**super().get_config(), "units": self.units, "streams": self.streams}


def _shape_of_first(shapes: Sequence[object]) -> tuple[int, ...]:
    """Of one shape or a list of them, the first."""
    return tuple(shapes[0] if isinstance(shapes[0], list | tuple) else shapes)
