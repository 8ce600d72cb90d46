from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient

if TYPE_CHECKING:
    import keras

Exact = npt.NDArray[np.float64]

STEPS, STREAMS, UNITS = 5, 3, 4
KEEP = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [1, 1, 0], [0.5, 1, 1]], np.float32)
STATES = {"RNN": 1, "LSTM": 2}


def draw(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def sigmoid(x: Exact) -> Exact:
    return np.asarray(1 / (1 + np.exp(-x)))


def unit(cell: Exact, gates: Exact, keep: float) -> tuple[Exact, Exact]:
    i, f, o, g = np.split(gates, 4)
    cell = keep * sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    return cell, sigmoid(o) * np.tanh(cell)


def unrolled(kind: str, w: dict[str, Array], x: Array, static: Array | None, before: list[Array]) -> list[Exact]:
    """The outputs, step by step and stream by stream."""
    out = np.empty((STEPS, STREAMS, UNITS))
    states = [s[0].astype(np.float64) for s in before]
    for t, n in np.ndindex(STEPS, STREAMS):
        keep = float(KEEP[t, n])
        driven = x[t, n].reshape(-1) @ w["kernel"] + w["bias"] + keep * states[0][n] @ w["recurrent_kernel"]
        if static is not None:
            driven = driven + static[n].reshape(-1) @ w["static_kernel"]
        if kind == "LSTM":
            states[1][n], states[0][n] = unit(states[1][n], driven, keep)
            out[t, n] = states[0][n]
        else:
            states[0][n] = np.tanh(driven)
            out[t, n] = np.tanh(states[0][n] @ w["output_kernel"] + w["output_bias"])
    return [out, *(s[None] for s in states)]


def make(kind: str, *, static: bool = False, expose: bool = False, dtype: str = "float32") -> keras.layers.Layer:
    from caffe2tf.runtime.recurrent import recurrent

    cls = {"RNN": recurrent.CaffeRNN, "LSTM": recurrent.CaffeLSTM}[kind]
    return cls(UNITS, static=static, expose_hidden=expose, dtype=dtype)


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize("static", [None, (STREAMS, 2, 3)])
@pytest.mark.parametrize("expose", [False, True])
@pytest.mark.parametrize("values", [(7,), (2, 5)])
def test_steps(
    kind: str, static: tuple[int, ...] | None, expose: bool, values: tuple[int, ...], rng: np.random.Generator
) -> None:
    import tensorflow as tf

    x = draw(rng, STEPS, STREAMS, *values)
    before = [
        draw(rng, 1, STREAMS, UNITS) if expose else np.zeros((1, STREAMS, UNITS), np.float32)
        for _ in range(STATES[kind])
    ]
    constant = None if static is None else draw(rng, *static)
    given = [x, KEEP, *([] if constant is None else [constant]), *(before if expose else [])]
    made = make(kind, static=static is not None, expose=expose)
    made(given)
    for weight in made.weights:
        weight.assign(0.5 * draw(rng, *weight.shape))
    want = unrolled(kind, {w.name: w.numpy() for w in made.weights}, x, constant, before)
    have = tf.nest.flatten(made(given))
    for a, b in zip(have, want if expose else want[:1], strict=True):
        assert_matches(a, b)
    if values == (7,) and not expose:
        check_saved(made, *given)


@pytest.mark.parametrize("kind", STATES)
def test_exposed_states_are_saved(kind: str, rng: np.random.Generator) -> None:
    """Their first axis is no batch: a model has it as it is."""
    import keras
    import tensorflow as tf

    made = make(kind, expose=True)
    arrays = [draw(rng, STEPS, STREAMS, 7), KEEP, *(draw(rng, 1, STREAMS, UNITS) for _ in range(STATES[kind]))]
    inputs = [keras.Input(batch_shape=a.shape) for a in arrays]
    model = keras.Model(inputs, made(inputs))
    assert [tuple(t.shape) for t in model.outputs] == [(STEPS, STREAMS, UNITS), *[(1, STREAMS, UNITS)] * STATES[kind]]
    again = type(made).from_config(made.get_config())
    again(arrays)
    again.set_weights(made.get_weights())
    for a, b, c in zip(model(arrays), again(arrays), tf.function(made)(arrays), strict=True):
        assert np.array_equal(a, b)
        assert_matches(c, b)


@pytest.mark.parametrize("kind", STATES)
def test_any_number_of_steps(kind: str, rng: np.random.Generator) -> None:
    import keras

    made = make(kind)
    inputs = [keras.Input((STREAMS, 7)), keras.Input((STREAMS,))]
    model = keras.Model(inputs, made(inputs))
    assert model.output.shape == (None, STREAMS, UNITS)
    x = draw(rng, STEPS, STREAMS, 7)
    whole = np.asarray(model([x, KEEP]))
    assert np.array_equal(model([x[:3], KEEP[:3]]), whole[:3])


@pytest.mark.parametrize("kind", STATES)
def test_half_precision(kind: str, rng: np.random.Generator) -> None:
    x = draw(rng, STEPS, STREAMS, 7)
    made = make(kind, dtype="mixed_float16")
    y = made([x, KEEP])
    assert y.dtype == "float16"
    zeros = [np.zeros((1, STREAMS, UNITS), np.float32)] * STATES[kind]
    want = unrolled(kind, {w.name: w.numpy() for w in made.weights}, x, None, zeros)[0]
    assert_matches(y, want, tolerance=1e-2)


@pytest.mark.parametrize("kind", STATES)
def test_gradients(kind: str, rng: np.random.Generator) -> None:
    made = make(kind, static=True, expose=True, dtype="float64")
    states = [draw(rng, 1, STREAMS, UNITS) for _ in range(STATES[kind])]
    check_gradient(made, rng, draw(rng, STEPS, STREAMS, 2), KEEP, draw(rng, STREAMS, 3), *states)


def test_training_lowers_the_loss_and_what_was_trained_is_exported(rng: np.random.Generator, tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    x = draw(rng, STEPS, STREAMS, 2)
    inputs = [keras.Input(batch_shape=a.shape) for a in (x, KEEP)]
    model = keras.Model(inputs, make("LSTM")(inputs))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    target = 0.5 * np.tanh(draw(rng, STEPS, STREAMS, UNITS))
    losses = [model.train_on_batch([x, KEEP], target) for _ in range(20)]
    assert losses[-1] < 0.95 * losses[0]
    model.export(tmp_path / "exported", verbose=False)
    served = tf.saved_model.load(tmp_path / "exported")
    assert_matches(served.serve([x, KEEP]), model([x, KEEP]))


def test_one_step_of_an_lstm(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.recurrent.recurrent import LSTMUnit

    cell, gates, keep = draw(rng, 1, 3, 4), draw(rng, 1, 3, 16), np.array([[0, 1, 0.5]], np.float32)
    have = LSTMUnit()([cell, gates, keep])
    for n in range(3):
        want = unit(cell[0, n].astype(np.float64), gates[0, n].astype(np.float64), float(keep[0, n]))
        for a, b in zip(have, want, strict=True):
            assert_matches(a[0, n], b)
    check_saved(LSTMUnit(), cell, gates, keep)
    check_gradient(LSTMUnit(dtype="float64"), rng, cell, gates, keep)
