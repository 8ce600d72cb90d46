"""Shape, and the reshape to such a shape: any layout, any batch size, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import assert_matches, run_layer

CONV = layer(
    "Convolution",
    "c",
    ["data"],
    parameters='convolution_param { num_output: 5 kernel_size: 2 weight_filler { type: "xavier" } }',
)
SHAPE = ("Shape", "")
PYTHON = ("Python", 'python_param { module: "shape" layer: "TensorShape" }')
RESHAPE = ("Python", 'python_param { module: "reshape" layer: "Reshape" }')


def any_layer(kind: tuple[str, str], name: str, *bottoms: str) -> str:
    type_, parameters = kind
    return layer(type_, name, bottoms, parameters=parameters)


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("kind", [SHAPE, PYTHON], ids=["Shape", "Python"])
def test_extents_in_caffes_order(kind: tuple[str, str]) -> None:
    out = run_layer(
        CONV + any_layer(kind, "of_conv", "c") + any_layer(kind, "of_data", "data"), {"data": draw(2, 3, 4, 7)}
    )
    assert_matches(out["of_conv"], [2, 5, 3, 6])
    assert_matches(out["of_data"], [2, 3, 4, 7])


def test_extents_of_the_batch_at_hand() -> None:
    model = built(CONV + any_layer(PYTHON, "out", "c"), {"data": (2, 3, 4, 7)})
    assert model.inputs[0].shape[0] is None
    (have,) = reloaded(model, [draw(6, 4, 7, 3)])
    assert_matches(have, [6, 5, 3, 6])


def test_reshape_to_the_shape_of_a_blob() -> None:
    flat = ("Reshape", "reshape_param { shape { dim: 2 dim: -1 } }")
    text = CONV + any_layer(flat, "f", "c") + any_layer(PYTHON, "s", "c") + any_layer(RESHAPE, "out", "f", "s")
    out = run_layer(text, {"data": draw(2, 3, 4, 7)})
    assert_matches(out["out"], out["c"])
    assert calls(text, {"data": (2, 3, 4, 7)})[-1] == "ReshapeTo"
    model = built(text, {"data": (2, 3, 4, 7)})
    assert model.inputs[0].shape[0] == 2


def test_reshape_to_extents_of_an_input() -> None:
    x = draw(2, 3, 4)
    text = any_layer(RESHAPE, "out", "data", "extents")
    assert_matches(run_layer(text, {"data": x, "extents": [6, 4]})["out"], x.reshape(6, 4))
    assert_matches(run_layer(text, {"data": x, "extents": [2, 2, -1]})["out"], x.reshape(2, 2, 6))
    model = built(text, {"data": (2, 3, 4), "extents": (3,)})
    fed = {"data": x, "extents": np.array([4, 3, 2])}
    (have,) = reloaded(model, [fed[name] for name in model.input])
    assert_matches(have, x.reshape(4, 3, 2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (any_layer(RESHAPE, "out", "data", "data"), r"the second bottom \(the extents\) must have one axis, not 2x3x4"),
        (any_layer(RESHAPE, "out", "data"), "takes 2 bottoms, 1 given"),
        (any_layer(RESHAPE, "data", "data", "data"), "not computed in place"),
        (any_layer(PYTHON, "data", "data"), "not computed in place"),
        (layer("Reduction", "e", ["data"]) + any_layer(PYTHON, "out", "e"), "the bottom must have at least one axis"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 4)})
