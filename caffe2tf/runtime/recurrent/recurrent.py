"""CaffeLSTM, CaffeRNN and LSTMUnit: recurrent layers with an input that restarts their sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from caffe2tf.runtime.vision.convolution import known_shape

__all__ = ["CaffeLSTM", "CaffeRNN", "LSTMUnit", "RecurrentLayer", "lstm_unit"]


class RecurrentLayer(keras.layers.Layer):
    """Base class of `CaffeLSTM` and `CaffeRNN`: their arguments, inputs and outputs.

    Unlike Keras' recurrent layers, these are time-major, and a second input tells at each step which sequences
    (streams) continue and which restart.

    Args:
        units: int. The size of a state.
        static: bool. Whether there is an input that is the same at all steps. Defaults to False.
        expose_hidden: bool. Whether the states before the first step are inputs, and those after the last step are
            outputs. If false, the states start at 0. Defaults to False.

    Input shape:
        A list of

        - ``x``: ``(steps, streams, ...)``. The values after the first two axes form one vector.
        - ``keep``: ``(steps, streams)``. The factor of the state before each step: 0 where a stream restarts, else 1.
        - the static input, if `static` is true: ``(streams, ...)``.
        - each state before the first step, if `expose_hidden` is true: ``(1, streams, units)``.

    Output shape:
        ``(steps, streams, units)``. If `expose_hidden` is true, a tuple of that and of each state after the last step:
        ``(1, streams, units)``.

    Weights:
        With g gates: ``kernel``: ``(values of x at a step, g * units)``. ``bias``: ``(g * units,)``.
        ``static_kernel``, if `static` is true: ``(values of the static input, g * units)``. ``recurrent_kernel``:
        ``(units, g * units)``.
    """

    states = 1
    gates = 1

    def __init__(self, units: int, *, static: bool = False, expose_hidden: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.static = static
        self.expose_hidden = expose_hidden

    def build(self, input_shape: Sequence[tuple[int, ...]]) -> None:
        """Create the kernels and the bias."""
        wide = self.units * self.gates
        self.kernel = self.add_weight(name="kernel", shape=(math.prod(input_shape[0][2:]), wide))
        self.bias = self.add_weight(name="bias", shape=(wide,), initializer="zeros")
        if self.static:
            self.static_kernel = self.add_weight(name="static_kernel", shape=(math.prod(input_shape[2][1:]), wide))
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, wide), initializer="orthogonal"
        )

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor | tuple[tf.Tensor, ...]:
        """Run all steps in turn."""
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
        """Return the states after a step, from those before it, and from the input part of the gates and `keep`."""
        raise NotImplementedError

    def read(self, hidden: tf.Tensor) -> tf.Tensor:
        """Return the output, from the first state after each step."""
        return hidden

    def compute_output_shape(
        self, input_shape: Sequence[tuple[int | None, ...]]
    ) -> tuple[int | None, ...] | list[tuple[int | None, ...]]:
        """Return the shape of the output, and those of the states if they are exposed."""
        steps, streams = input_shape[0][:2]
        out = (steps, streams, self.units)
        return [out, *[(1, streams, self.units)] * self.states] if self.expose_hidden else out

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        own = {"units": self.units, "static": self.static, "expose_hidden": self.expose_hidden}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="caffe2tf")
class CaffeRNN(RecurrentLayer):
    """The simple recurrent network of Caffe's RNN layer.

    Each step computes::

        h[t] = tanh(x[t] @ kernel + (keep[t] * h[t - 1]) @ recurrent_kernel + bias)
        o[t] = tanh(h[t] @ output_kernel + output_bias)

    The output is o; the state is h. ``keras.layers.SimpleRNN`` has no output kernel. See `RecurrentLayer` for the
    arguments and shapes.

    Weights:
        Those of `RecurrentLayer` with one gate, and ``output_kernel``: ``(units, units)``, ``output_bias``:
        ``(units,)``.
    """

    def build(self, input_shape: Sequence[tuple[int, ...]]) -> None:
        """Create kernels and biases."""
        super().build(input_shape)
        self.output_kernel = self.add_weight(name="output_kernel", shape=(self.units, self.units))
        self.output_bias = self.add_weight(name="output_bias", shape=(self.units,), initializer="zeros")

    def step(self, states: tuple[tf.Tensor, ...], inputs: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Compute one step."""
        driven, keep = inputs
        return (tf.tanh((keep * states[0]) @ self.recurrent_kernel + driven),)

    def read(self, hidden: tf.Tensor) -> tf.Tensor:
        """Return the output of each step."""
        return tf.tanh(hidden @ self.output_kernel + self.output_bias)


@keras.saving.register_keras_serializable(package="caffe2tf")
class CaffeLSTM(RecurrentLayer):
    """The LSTM of Caffe's LSTM layer.

    Each step computes::

        i, f, o, g = split(x[t] @ kernel + (keep[t] * h[t - 1]) @ recurrent_kernel + bias, 4)
        c[t] = keep[t] * sigmoid(f) * c[t - 1] + sigmoid(i) * tanh(g)
        h[t] = sigmoid(o) * tanh(c[t])

    The output is h; the states are h and c. ``keras.layers.LSTM`` orders its gates i, f, g, o, and cannot restart a
    stream within a sequence. See `RecurrentLayer` for the arguments, shapes and weights; there are four gates.
    """

    states = 2
    gates = 4

    def step(self, states: tuple[tf.Tensor, ...], inputs: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Compute one step."""
        hidden, cell = states
        driven, keep = inputs
        cell, hidden = lstm_unit(cell, (keep * hidden) @ self.recurrent_kernel + driven, keep)
        return hidden, cell


@keras.saving.register_keras_serializable(package="caffe2tf")
class LSTMUnit(keras.layers.Layer):
    """The nonlinear part of one step of an LSTM.

    With ``i, f, o, g = split(gates, 4)``, it computes ``c = keep * sigmoid(f) * c_before + sigmoid(i) * tanh(g)`` and
    ``h = sigmoid(o) * tanh(c)``.

    Input shape:
        A list of the cell before the step, ``(1, streams, units)``, the gates, ``(1, streams, 4 * units)``, and
        `keep`, ``(1, streams)``: 0 where a stream restarts, else 1.

    Output shape:
        A tuple of the cell and the hidden state after the step: twice ``(1, streams, units)``.
    """

    def call(self, inputs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute one step."""
        cell, gates, keep = inputs
        return lstm_unit(cell, gates, keep[..., None])

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> list[tuple[int | None, ...]]:
        """Return the shape of the cell, twice."""
        return [input_shape[0]] * 2


def lstm_unit(cell: tf.Tensor, gates: tf.Tensor, keep: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the cell and the hidden state after one step of an LSTM.

    Args:
        cell: ``(..., units)``, the cell before the step.
        gates: ``(..., 4 * units)``, in the order i, f, o, g.
        keep: ``(..., 1)``, the factor of the cell before the step.
    """
    i, f, o, g = tf.split(gates, 4, -1)
    cell = keep * tf.sigmoid(f) * cell + tf.sigmoid(i) * tf.tanh(g)
    return cell, tf.sigmoid(o) * tf.tanh(cell)
