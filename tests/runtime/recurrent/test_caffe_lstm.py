from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient

UNITS = 3
MARKERS = np.array([0, 1, 1, 0, -0.5, 1], np.float32)


def draw(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def lstm(x: Array, markers: Array | None, weights: list[Array], streams: int) -> npt.NDArray[np.float64]:
    """Step by step, stream by stream, unit by unit."""
    kernel, bias, recurrent = (w.astype(np.float64) for w in weights)
    rows = len(x)
    gates = x.reshape(rows, -1) @ kernel + bias
    hidden, cell = np.zeros((rows, UNITS)), np.zeros((rows, UNITS))
    for row in range(rows):
        t, n = divmod(row, streams)
        keep = t > 0 if markers is None else bool(markers.reshape(-1)[t + n])
        before_h, before_c = (hidden[row - streams], cell[row - streams]) if t else np.zeros((2, UNITS))
        driven = gates[row] + keep * (before_h @ recurrent)
        for d in range(UNITS):
            i, f, o = (sigmoid(driven[k * UNITS + d]) for k in range(3))
            cell[row, d] = keep * f * before_c[d] + i * np.tanh(driven[3 * UNITS + d])
            hidden[row, d] = o * np.tanh(cell[row, d])
    return hidden


@pytest.mark.parametrize("shape", [(6, 2), (6, 2, 5)])
@pytest.mark.parametrize("markers", [None, MARKERS, MARKERS.reshape(6, 1)], ids=["none", "vector", "column"])
@pytest.mark.parametrize("streams", [1, 2, 3])
def test_steps(shape: tuple[int, ...], markers: Array | None, streams: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.recurrent.caffe_lstm import SequenceLSTM

    x, made = draw(rng, *shape), SequenceLSTM(UNITS, streams=streams)
    given = x if markers is None else [x, markers]
    made(given)
    assert [w.name for w in made.weights] == ["kernel", "bias", "recurrent_kernel"]
    weights = [draw(rng, *w.shape) for w in made.weights]
    made.set_weights(weights)
    assert_matches(made(given), lstm(x, markers, weights, streams))
    if streams == 2:
        check_saved(made, x, *([] if markers is None else [markers]))


def test_static_shape() -> None:
    from caffe2tf.runtime.recurrent.caffe_lstm import SequenceLSTM

    assert SequenceLSTM(3).compute_output_shape((None, 4)) == (None, 3)
    assert SequenceLSTM(3, streams=2).compute_output_shape([(6, 4), (6, 1)]) == (6, 3)


def test_any_number_of_rows(rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.recurrent.caffe_lstm import SequenceLSTM

    inputs, made = keras.Input((2,)), SequenceLSTM(UNITS, streams=2)
    model = keras.Model(inputs, made(inputs))
    weights = [w.numpy() for w in made.weights]
    for rows in (4, 10):
        x = draw(rng, rows, 2)
        assert_matches(model(x), lstm(x, None, weights, 2))


def test_rows_that_are_no_multiple_of_the_streams_are_an_error(rng: np.random.Generator) -> None:
    import tensorflow as tf

    from caffe2tf.runtime.recurrent.caffe_lstm import SequenceLSTM

    with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
        SequenceLSTM(UNITS, streams=4)(draw(rng, 6, 2))


def test_half_precision(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.recurrent.caffe_lstm import SequenceLSTM

    x, made = draw(rng, 6, 2), SequenceLSTM(UNITS, dtype="mixed_float16")
    y = made([x, MARKERS])
    assert y.dtype == "float16"
    assert_matches(y, lstm(x, MARKERS, [w.numpy() for w in made.weights], 1), tolerance=5e-3)


def test_gradients(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.recurrent.caffe_lstm import SequenceLSTM

    check_gradient(SequenceLSTM(UNITS, streams=2, dtype="float64"), rng, draw(rng, 6, 2), MARKERS, among=[0])
