"""RNN, LSTM and LSTMUnit: recordings of Caffe, and the formulas step by step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.oracle import RECORDED, Array, assert_matches, check_recorded, recorded, run_layer

Ints = tuple[int, ...]
Exact = npt.NDArray[np.float64]
STEPS, STREAMS, UNITS = 5, 3, 4
CONT = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [1, 1, 0], [0.5, 1, 1]], np.float32)  # with 0 a sequence begins


def draw(*shape: int, seed: int = 8) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def sigmoid(x: Exact) -> Exact:
    return np.asarray(1 / (1 + np.exp(-x)))


def unit(c: Exact, gates: Exact, cont: Exact) -> tuple[Exact, Exact]:
    """Return c and h after one step of an LSTM."""
    d = c.shape[-1]
    i, f, o, g = (gates[..., n * d : (n + 1) * d] for n in range(4))
    c = cont[..., None] * sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return c, sigmoid(o) * np.tanh(c)


def lstm(x: Array, cont: Array, blobs: list[Array], states: list[Array], static: Array | None) -> list[Exact]:
    """Return the tops: h, then h and c after the last step."""
    w_x, b, *w_static, w_h = (np.asarray(a, np.float64) for a in blobs)
    h, c = (s[0].astype(np.float64) for s in states)
    found = []
    for t in range(len(x)):
        gates = x[t].reshape(len(h), -1) @ w_x.T + b + (cont[t][:, None] * h) @ w_h.T
        if static is not None:
            gates += static.reshape(len(h), -1) @ w_static[0].T
        c, h = unit(c, gates, cont[t].astype(np.float64))
        found.append(h)
    return [np.stack(found), h[None], c[None]]


def rnn(x: Array, cont: Array, blobs: list[Array], states: list[Array], static: Array | None) -> list[Exact]:
    """Return the tops: o, then h after the last step."""
    w_x, b, *w_static, w_h, w_o, b_o = (np.asarray(a, np.float64) for a in blobs)
    h = states[0][0].astype(np.float64)
    found = []
    for t in range(len(x)):
        driven = x[t].reshape(len(h), -1) @ w_x.T + b + (cont[t][:, None] * h) @ w_h.T
        if static is not None:
            driven += static.reshape(len(h), -1) @ w_static[0].T
        h = np.tanh(driven)
        found.append(np.tanh(h @ w_o.T + b_o))
    return [np.stack(found), h[None]]


KINDS = {"LSTM": (lstm, 4, ("h", "c")), "RNN": (rnn, 1, ("h",))}


def blobs(type_: str, values: int, static: int | None) -> list[Array]:
    """Draw trained blobs, in Caffe's order."""
    wide = KINDS[type_][1] * UNITS
    found = [0.5 * draw(wide, values), draw(wide)]
    if static is not None:
        found.append(0.5 * draw(wide, static, seed=2))
    found.append(0.5 * draw(wide, UNITS, seed=3))
    return found if type_ == "LSTM" else [*found, 0.5 * draw(UNITS, UNITS, seed=4), draw(UNITS, seed=5)]


def recurrent(type_: str, bottoms: list[str], tops: list[str], parameters: str) -> str:
    return layer(type_, "rec", bottoms, tops, f"recurrent_param {{ {parameters} }}")


@pytest.mark.parametrize("case", recorded("lstm_", "rnn_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


def test_recorded_weights_in_hdf5() -> None:
    folder = RECORDED / "lstm_basic"
    with np.load(folder / "blobs.npz") as arrays:
        fed = {k.removeprefix("in/"): arrays[k] for k in arrays.files if k.startswith("in/")}
        out = caffe2tf.run(folder / "net.prototxt", folder / "net.caffemodel.h5", fed)
        assert_matches(out["h"], arrays["out/h"])


@pytest.mark.parametrize("type_", KINDS)
@pytest.mark.parametrize("exposed", [False, True])
@pytest.mark.parametrize("static", [None, (STREAMS, 6), (STREAMS, 2, 3)])
@pytest.mark.parametrize("values", [(7,), (2, 5, 3)])
@pytest.mark.parametrize("cont", [CONT, np.zeros_like(CONT), np.ones_like(CONT)], ids=["mixed", "zeros", "ones"])
def test_steps(type_: str, exposed: bool, static: Ints | None, values: Ints, cont: Array) -> None:
    formula, _, names = KINDS[type_]
    states = [draw(1, STREAMS, UNITS, seed=n) for n in range(len(names))]
    inputs = {"x": draw(STEPS, STREAMS, *values), "cont": cont}
    if static is not None:
        inputs["static"] = draw(*static)
    tops = ["out"]
    if exposed:
        inputs |= {f"{n}_0": s for n, s in zip(names, states, strict=True)}
        tops += [f"{n}_T" for n in names]
    else:
        states = [np.zeros_like(s) for s in states]
    trained = blobs(type_, int(np.prod(values)), 6 if static else None)
    text = recurrent(type_, list(inputs), tops, f"num_output: {UNITS} expose_hidden: {str(exposed).lower()}")
    out = run_layer(text, inputs, {"rec": trained})
    want = formula(inputs["x"], cont, trained, states, inputs.get("static"))
    for name, array in zip(tops, want, strict=False):
        assert_matches(out[name], array, name, tolerance=2e-6)


def test_lstm_unit() -> None:
    c, x, cont = draw(1, STREAMS, UNITS), draw(1, STREAMS, 4 * UNITS), CONT[4:]
    out = run_layer(recurrent("LSTMUnit", ["c", "x", "cont"], ["c1", "h1"], ""), {"c": c, "x": x, "cont": cont})
    for name, want in zip(
        ("c1", "h1"), unit(c.astype(np.float64), x.astype(np.float64), cont.astype(np.float64)), strict=True
    ):
        assert_matches(out[name], want, name)


X, CONT_SHAPE, STATE = (STEPS, STREAMS, 7), (STEPS, STREAMS), (1, STREAMS, UNITS)


@pytest.mark.parametrize(
    ("type_", "shapes", "tops", "parameters", "message"),
    [
        ("LSTM", [X, CONT_SHAPE], 1, "", "recurrent_param.num_output is required"),
        ("LSTM", [X, CONT_SHAPE], 1, "num_output: 0", "num_output must be 1 or more, not 0"),
        ("LSTM", [X], 1, "num_output: 4", "takes 2 or more bottoms, 1 given"),
        ("LSTM", [X, CONT_SHAPE, STATE, STATE], 1, "num_output: 4", "2 or 3, not 4"),
        ("LSTM", [X, CONT_SHAPE, STATE], 3, "num_output: 4 expose_hidden: true", "h_0 and c_0: 4 or 5, not 3"),
        ("RNN", [X, CONT_SHAPE], 2, "num_output: 4 expose_hidden: true", "h_0: 3 or 4, not 2"),
        ("LSTM", [X, CONT_SHAPE], 2, "num_output: 4", "the tops are the output alone: 1, not 2"),
        (
            "RNN",
            [X, CONT_SHAPE, STATE],
            1,
            "num_output: 4 expose_hidden: true",
            "the tops are the output and the last h: 2, not 1",
        ),
        (
            "RNN",
            [(STEPS, STREAMS), CONT_SHAPE],
            1,
            "num_output: 4",
            "first bottom must have 3 axes or more.* its shape is 5x3",
        ),
        ("LSTM", [X, (STEPS, STREAMS, 1)], 1, "num_output: 4", "second bottom must have 2 axes.*: 5x3, not 5x3x1"),
        ("LSTM", [X, (STEPS, 2)], 1, "num_output: 4", "the steps and streams of the first bottom: 5x3, not 5x2"),
        ("LSTM", [X, (4, STREAMS)], 1, "num_output: 4", "the steps and streams of the first bottom: 5x3, not 4x3"),
        (
            "LSTM",
            [X, CONT_SHAPE, (2, 6)],
            1,
            "num_output: 4",
            "static input must have 2 axes.* the 3 streams; its shape is 2x6",
        ),
        ("RNN", [X, CONT_SHAPE, (STREAMS,)], 1, "num_output: 4", "static input must have 2 axes or more"),
        ("RNN", [X, CONT_SHAPE, (1, 3, 5)], 2, "num_output: 4 expose_hidden: true", "h_0 must be 1x3x4, not 1x3x5"),
        ("LSTM", [X, CONT_SHAPE, STATE, (1, 2, 4)], 3, "num_output: 4 expose_hidden: true", "c_0 must be 1x3x4"),
        ("LSTMUnit", [STATE, (1, 3, 16)], 2, "", "takes 3 bottoms, 2 given"),
        ("LSTMUnit", [STATE, (1, 3, 16), (1, 3)], 1, "", "takes 2 tops, 1 given"),
        ("LSTMUnit", [(3, 4), (1, 3, 16), (1, 3)], 2, "", r"bottom 0 \(c_prev\) must have 3 axes; its shape is 3x4"),
        ("LSTMUnit", [STATE, (1, 3, 16), (1, 3, 1)], 2, "", r"bottom 2 \(cont\) must have 2 axes"),
        ("LSTMUnit", [STATE, (2, 3, 16), (1, 3)], 2, "", r"bottom 1 \(x\) must hold 1 step along axis 0"),
        (
            "LSTMUnit",
            [STATE, (1, 2, 16), (1, 3)],
            2,
            "",
            "same number of streams along axis 1; their shapes are 1x3x4, 1x2x16, 1x3",
        ),
        ("LSTMUnit", [STATE, (1, 3, 15), (1, 3)], 2, "", "4 values for each value of c_prev along axis 2: 16, not 15"),
    ],
)
def test_errors(type_: str, shapes: list[Ints], tops: int, parameters: str, message: str) -> None:
    inputs = {f"b{i}": draw(*shape) for i, shape in enumerate(shapes)}
    text = recurrent(type_, list(inputs), [f"t{i}" for i in range(tops)], parameters)
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, inputs)
