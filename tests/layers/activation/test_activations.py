"""ReLU, Sigmoid, TanH, Atan: recordings of Caffe, and their formulas in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.layers.activation.activations import ReLU, Sigmoid, TanH, activation_name
from tests.layers.emitted import built, emitted, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

SHAPES = [(2, 3, 4, 5), (3, 4), (6,), (2, 3, 4), (2, 3, 2, 4, 3)]


def layer(type_: str, parameters: str = "") -> str:
    return f'layer {{ name: "out" type: "{type_}" bottom: "data" top: "out" {parameters} }}'


@pytest.mark.parametrize("case", recorded("relu_", "sigmoid_default", "tanh_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("slope", [None, 0.0, 0.1, -0.25, 1.5])
def test_relu(shape: tuple[int, ...], slope: float | None, rng: np.random.Generator) -> None:
    x = (rng.standard_normal(shape) * 3).astype(np.float32)
    text = "" if slope is None else f"relu_param {{ negative_slope: {slope} }}"
    want = np.maximum(x, 0) + (slope or 0) * np.minimum(x, 0)
    assert_matches(run_layer(layer("ReLU", text), {"data": x})["out"], want)


@pytest.mark.parametrize("shape", SHAPES)
def test_sigmoid_and_tanh(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = (rng.standard_normal(shape) * 4).astype(np.float32)
    out = run_layer(layer("Sigmoid") + layer("TanH").replace("out", "tanh"), {"data": x})
    y = x.astype(np.float64)
    assert_matches(out["out"], 0.5 * np.tanh(0.5 * y) + 0.5)
    assert_matches(out["tanh"], np.tanh(y))


@pytest.mark.parametrize("top", ["out", "data"])
def test_atan(top: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32) * 4
    text = f'layer {{ name: "a" type: "Atan" bottom: "data" top: "{top}" }}'
    assert_matches(run_layer(text, {"data": x})[top], np.arctan(x.astype(np.float64)))
    flat = x.reshape(6, 20)
    assert_matches(reloaded(built(text, {"data": (2, 20)}), [flat])[0], np.arctan(flat.astype(np.float64)))


def test_in_place_keeps_the_blob() -> None:
    x: Array = np.array([[-2.0, 3.0]], np.float32)
    out = run_layer(layer("ReLU").replace('top: "out"', 'top: "data"'), {"data": x})
    assert out["data"].tolist() == [[0, 3]]


def test_idioms() -> None:
    shapes = {"data": (2, 3, 4, 5)}
    assert 'layers.ReLU(name="out")' in emitted(layer("ReLU"), shapes)
    leaky = layer("ReLU", "relu_param { negative_slope: 0.1 }")
    assert 'layers.LeakyReLU(negative_slope=0.1, name="out")' in emitted(leaky, shapes)
    assert 'layers.Activation("tanh", name="out")' in emitted(layer("TanH"), shapes)


def test_names_for_other_layers() -> None:
    assert activation_name(ReLU()) == "relu"
    assert activation_name(ReLU(negative_slope=0.1)) is None
    assert activation_name(Sigmoid()) == "sigmoid"
    assert activation_name(TanH()) == "tanh"
