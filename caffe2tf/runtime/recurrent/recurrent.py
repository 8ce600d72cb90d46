"""Recurrent layers over (steps, streams, ...), whose streams begin anew where a second input says so."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from caffe2tf.runtime.vision.convolution import known_shape

__all__ = ["CaffeLSTM", "CaffeRNN", "LSTMUnit", "RecurrentLayer", "lstm_unit"]


class RecurrentLayer(keras.layers.Layer):
    """What `CaffeLSTM` and `CaffeRNN` have in common: their inputs and outputs.

    Inputs, as one list: x (steps, streams, ...), of which all values after the streams are one vector; what the state
    before each step is multiplied by, 0 where a stream begins anew, else 1 (steps, streams); with ``static``, values
    that are the same for all steps (streams, ...); with ``expose_hidden``, each state before the first step
    (1, streams, units), else they are 0.

    Outputs: (steps, streams, units); with ``expose_hidden``, each state after the last step (1, streams, units), too.

    Args:
        units: values of a state.
        static: whether there is an input that is the same for all steps.
        expose_hidden: whether the states are inputs and outputs.
    """

    states = 1
    gates = 1

    def __init__(self, units: int, *, static: bool = False, expose_hidden: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.static = static
        self.expose_hidden = expose_hidden

    def build(self, input_shape: Sequence[tuple[int, ...]]) -> None:
        """Makes the kernels of x, of the static input and of the state, and the bias."""
        wide = self.units * self.gates
        self.kernel = self.add_weight(name="kernel", shape=(math.prod(input_shape[0][2:]), wide))
        self.bias = self.add_weight(name="bias", shape=(wide,), initializer="zeros")
        if self.static:
            self.static_kernel = self.add_weight(name="static_kernel", shape=(math.prod(input_shape[2][1:]), wide))
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, wide), initializer="orthogonal"
        )

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor | tuple[tf.Tensor, ...]:
        """All steps, one after the other."""
        x, keep = inputs[:2]
        steps, streams = known_shape(x)[:2]
        driven = tf.reshape(x, (steps, streams, self.kernel.shape[0])) @ self.kernel + self.bias
        if self.static:
            driven += tf.reshape(inputs[2], (streams, self.static_kernel.shape[0])) @ self.static_kernel
        before = [tf.zeros((streams, self.units), x.dtype)] * self.states
        if self.expose_hidden:
            before = [tf.reshape(s, (streams, self.units)) for s in inputs[-self.states :]]
        after = tf.scan(self.step, (driven, keep[..., None]), tuple(before))
        last = [s[-1:] for s in after]
        out = self.read(after[0])
        return (out, *last) if self.expose_hidden else out

    def step(self, states: tuple[tf.Tensor, ...], inputs: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """The states after a step, from those before it, what drives it, and what the states are multiplied by."""
        raise NotImplementedError

    def read(self, hidden: tf.Tensor) -> tf.Tensor:
        """The output, from the first state after each step."""
        return hidden

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...] | list[tuple[int | None, ...]]:
        """As the class says."""
        steps, streams = input_shape[0][:2]
        out = (steps, streams, self.units)
        return [out, *[(1, streams, self.units)] * self.states] if self.expose_hidden else out

    def get_config(self) -> dict[str, object]:
        """Arguments of the constructor."""
        own = {"units": self.units, "static": self.static, "expose_hidden": self.expose_hidden}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="caffe2tf")
class CaffeRNN(RecurrentLayer):
    """``h[t] = tanh(W_xh x[t] + W_hh (keep[t] h[t - 1]) + b_h)``, ``o[t] = tanh(W_ho h[t] + b_o)``; o is the output.

    For inputs, outputs and arguments see `RecurrentLayer`.
    """

    def build(self, input_shape: Sequence[tuple[int, ...]]) -> None:
        """Makes kernels and biases."""
        super().build(input_shape)
        self.output_kernel = self.add_weight(name="output_kernel", shape=(self.units, self.units))
        self.output_bias = self.add_weight(name="output_bias", shape=(self.units,), initializer="zeros")

    def step(self, states: tuple[tf.Tensor, ...], inputs: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """One step."""
        driven, keep = inputs
        return (tf.tanh((keep * states[0]) @ self.recurrent_kernel + driven),)

    def read(self, hidden: tf.Tensor) -> tf.Tensor:
        """The output of each step."""
        return tf.tanh(hidden @ self.output_kernel + self.output_bias)


@keras.saving.register_keras_serializable(package="caffe2tf")
class CaffeLSTM(RecurrentLayer):
    """An LSTM whose four gates, in the order i, f, o, g, are ``W_xc x[t] + W_hc (keep[t] h[t - 1]) + b_c``.

    ``c[t] = keep[t] sigmoid(f) c[t - 1] + sigmoid(i) tanh(g)``, ``h[t] = sigmoid(o) tanh(c[t])``; h is the output, h
    and c are the states. For inputs, outputs and arguments see `RecurrentLayer`.
    """

    states = 2
    gates = 4

    def step(self, states: tuple[tf.Tensor, ...], inputs: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """One step."""
        hidden, cell = states
        driven, keep = inputs
        cell, hidden = lstm_unit(cell, (keep * hidden) @ self.recurrent_kernel + driven, keep)
        return hidden, cell


@keras.saving.register_keras_serializable(package="caffe2tf")
class LSTMUnit(keras.layers.Layer):
    """The nonlinear part of one step of an LSTM.

    Inputs, as one list: the cell before it (1, streams, units), the gates (1, streams, 4 units) in the order i, f, o,
    g, and what the cell is multiplied by (1, streams). Outputs: the cell after it, and the hidden state.
    """

    def call(self, inputs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """One step."""
        cell, gates, keep = inputs
        return lstm_unit(cell, gates, keep[..., None])

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> list[tuple[int | None, ...]]:
        """The cell's, twice."""
        return [input_shape[0]] * 2


def lstm_unit(cell: tf.Tensor, gates: tf.Tensor, keep: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Cell and hidden state (..., units) after a step, from the cell before it and the gates (..., 4 units).

    ``keep`` (..., 1) is what the cell before is multiplied by.
    """
    i, f, o, g = tf.split(gates, 4, -1)
    cell = keep * tf.sigmoid(f) * cell + tf.sigmoid(i) * tf.tanh(g)
    return cell, tf.sigmoid(o) * tf.tanh(cell)
