"""Dropout: recordings of Caffe, scaling in either phase, and the rules for its ratio."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.layers.emitted import built, emitted
from tests.layers.oracle import check_recorded, recorded, run_layer


def layer(parameters: str) -> str:
    return f'layer {{ name: "out" type: "Dropout" bottom: "data" top: "out" dropout_param {{ {parameters} }} }}'


@pytest.mark.parametrize("case", recorded("dropout_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize(
    "parameters", ["", "dropout_ratio: 0", "dropout_ratio: 1", "dropout_ratio: 0.9 scale_train: true"]
)
def test_nothing_happens_in_test_phase(parameters: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    assert np.array_equal(run_layer(layer(parameters), {"data": x})["out"], x)


@pytest.mark.parametrize("truth", ["false", "0", "False"])
def test_scale_train_false_scales_in_testing(truth: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    out = run_layer(layer(f"dropout_ratio: 0.75 scale_train: {truth}"), {"data": x})["out"]
    assert np.array_equal(out, x * np.float32(0.25))


def test_idioms() -> None:
    shapes = {"data": (2, 3, 4, 5)}
    assert 'layers.Dropout(0.6, name="out")' in emitted(layer("dropout_ratio: 0.6"), shapes)
    unscaled = emitted(layer("dropout_ratio: 0.6 scale_train: false"), shapes)
    assert 'UnscaledDropout(0.6, name="out")' in unscaled


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("dropout_ratio: 1.5", r"dropout_ratio must be 0 to 1, not 1\.5"),
        ("dropout_ratio: -0.1", r"dropout_ratio must be 0 to 1, not -0\.1"),
        ("scale_train: maybe", "`scale_train`: maybe is neither true nor false"),
        ("share: true", "field 'dropout_param.share' is not known"),
    ],
)
def test_rules(parameters: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer(parameters), {"data": np.ones((2, 3), np.float32)})


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 2)])
def test_of_whole_channels(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    """Intel's layer: nothing in TEST; in training a channel is left out whole, or divided by what stays."""
    x = rng.standard_normal(shape).astype(np.float32)
    text = layer("dropout_ratio: 0.25").replace('"Dropout"', '"SpatialDropout"')
    assert np.array_equal(run_layer(text, {"data": x})["out"], x)
    model = built(text, {"data": (50, *shape[1:])})
    ones = np.ones((50, *shape[2:], shape[1]), np.float32)
    out = np.asarray(model({"data": ones}, training=True)["out"]).reshape(50, -1, shape[1])
    assert set(np.unique(out)) == {np.float32(0), np.float32(1 / 0.75)}
    assert np.array_equal(out, np.broadcast_to(out[:, :1], out.shape))
