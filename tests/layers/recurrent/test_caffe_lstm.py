"""Lstm of caffe-lstm: plain loops, streams and markers, errors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.recurrent.caffe_lstm import Lstm
from tests.builders import layer
from tests.layers.emitted import built, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer

UNITS = 3


def lstm(parameters: str = "num_output: 3", *, marked: bool = True) -> str:
    bottoms = ["data", "clip"] if marked else ["data"]
    return layer("Lstm", "out", bottoms, parameters=f"lstm_param {{ {parameters} clipping_threshold: 0.1 }}")


def draw(*shape: int, seed: int = 4) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def reference(x: Array, clip: Array | None, blobs: list[Array], streams: int) -> npt.NDArray[np.float64]:
    """Compute h step by step, stream by stream and unit by unit."""
    rows, units = len(x), blobs[1].shape[1]
    gates = x.reshape(rows, -1).astype(np.float64) @ blobs[0].T + blobs[2]
    hidden, cell = np.zeros((rows, units)), np.zeros((rows, units))
    for t in range(rows // streams):
        for n in range(streams):
            row, last = t * streams + n, (t - 1) * streams + n
            running = t > 0 if clip is None else bool(clip.reshape(-1)[t + n])
            before_h, before_c = (hidden[last], cell[last]) if t else (np.zeros(units), np.zeros(units))
            driven = gates[row] + (blobs[1] @ before_h if running else 0)
            for d in range(units):
                i, f, o = (sigmoid(driven[k * units + d]) for k in range(3))
                cell[row, d] = (f * before_c[d] if running else 0) + i * np.tanh(driven[3 * units + d])
                hidden[row, d] = o * np.tanh(cell[row, d])
    return hidden


def trained(values: int) -> list[Array]:
    return [draw(4 * UNITS, values), draw(4 * UNITS, UNITS), draw(4 * UNITS)]


@pytest.mark.parametrize("shape", [(6, 2), (6, 2, 1, 5), (6,)])
@pytest.mark.parametrize(("streams", "marked"), [(1, True), (1, False), (2, True), (3, False)])
def test_steps(shape: tuple[int, ...], streams: int, marked: bool) -> None:
    x, blobs = draw(*shape), trained(int(np.prod(shape[1:])))
    clip = np.array([0, 1, 1, 0, -0.5, 1], np.float32)
    fed = {"data": x} | ({"clip": clip.reshape(6, 1, 1, 1)} if marked else {})
    have = run_layer(lstm(f"num_output: 3 batch_size: {streams}", marked=marked), fed, {"out": blobs})["out"]
    assert_matches(have, reference(x, clip if marked else None, blobs, streams))


def test_state_is_zero_before_the_first_step() -> None:
    x, clip, blobs = draw(5, 2), np.ones((5, 1), np.float32), trained(2)
    assert_matches(run_layer(lstm(), {"data": x, "clip": clip}, {"out": blobs})["out"], reference(x, clip, blobs, 1))


def test_saved_and_loaded_with_weights() -> None:
    x, blobs = draw(6, 2), trained(2)
    clip = np.array([0, 1, 1, 0, 1, 1], np.float32)
    model = built(lstm(), {"data": (6, 2), "clip": (6,)})
    weights = model.get_layer("out")
    assert [w.name for w in weights.weights] == ["kernel", "bias", "recurrent_kernel"]
    weights.set_weights([blobs[0].T, blobs[2], blobs[1].T])
    (have,) = reloaded(model, [x, clip])
    assert_matches(have, reference(x, clip, blobs, 1))


def test_rows_are_not_the_batch_and_may_be_unknown() -> None:
    made = Lstm(num_output=3, streams=2, marked=True, weight_filler=Filler(), bias_filler=Filler())
    assert made.infer((None, 4), (None, 1)) == ((None, 3),)
    assert made.trace_batch([True, True], [(6, 4), (6, 1)], [(6, 3)]) is Batch.FIXED
    assert "reads marker t + n" in made.remarks()[0]
    assert "what caffe-lstm computes on a GPU" in made.remarks()[1]
    assert made.multiply_adds([(6, 4), (6,)], [(6, 3)]) == 6 * 12 * (4 + 3)


def test_each_stream_has_its_own_state() -> None:
    """As on a GPU; on a CPU, caffe-lstm gives all streams the recurrent part of the first one."""
    x, blobs = draw(8, 2), trained(2)
    together = run_layer(lstm("num_output: 3 batch_size: 2", marked=False), {"data": x}, {"out": blobs})["out"]
    for stream in range(2):
        alone = run_layer(lstm(marked=False), {"data": x[stream::2]}, {"out": blobs})["out"]
        assert_matches(together[stream::2], alone)
    unmarked = Lstm(num_output=3, streams=2, marked=False, weight_filler=Filler(), bias_filler=Filler())
    assert len(unmarked.remarks()) == 1
    assert Lstm(num_output=3, streams=1, marked=True, weight_filler=Filler(), bias_filler=Filler()).remarks() == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lstm(""), "lstm_param.num_output is required"),
        (lstm("num_output: 0"), "lstm_param.num_output must be 1 or more, not 0"),
        (lstm("num_output: 3 batch_size: 0"), "lstm_param.batch_size must be 1 or more, not 0"),
        (lstm("num_output: 3 batch_size: 4"), r"6 rows must be a multiple of lstm_param.batch_size \(4\)"),
        (
            lstm().replace('"clip"', '"wide"'),
            "one marker for each index along axis 0, and extent 1 along the others; its shape is 6x2",
        ),
        (lstm().replace('"clip"', '"short"'), "a marker for each of the first bottom's 6 rows, not 5"),
        (lstm().replace('"data"', '"deep"'), "the first bottom must have 1 to 4 axes, the first for its rows"),
    ],
)
def test_errors(text: str, message: str) -> None:
    fed = {
        "data": draw(6, 2),
        "clip": draw(6, 1),
        "wide": draw(6, 2),
        "short": draw(5, 1),
        "deep": draw(2, 1, 1, 1, 2),
    }
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, fed)
