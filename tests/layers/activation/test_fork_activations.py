"""Activations that forks added: ReLU6, NegReLU, HardSwish, HardSigmoid, and ReLU with a ceiling."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.layers.activation.activations import HardSwish, ReLU, ReLU6, activation_name
from tests.layers.emitted import calls, emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

SHAPES = [(2, 3, 4, 5), (3, 4), (6,), (2, 3, 2, 4, 3)]
SLOPES = [None, 0.0, 0.1, -0.25, 1.5]


def layer(type_: str, parameters: str = "", *, bottom: str = "data") -> str:
    return f'layer {{ name: "out" type: "{type_}" bottom: "{bottom}" top: "out" {parameters} }}'


def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    x = (rng.standard_normal(shape) * 6).astype(np.float32)
    x.reshape(-1)[:4] = (0, 6, -30, 40)  # beyond every limit, and on it
    return x


def slope_text(block: str, slope: float | None, more: str = "") -> str:
    return f"{block} {{ {'' if slope is None else f'negative_slope: {slope}'} {more} }}"


@pytest.mark.parametrize("case", recorded("fork_re_lu6_", "fork_neg_re_lu_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_up_to_6(shape: tuple[int, ...], slope: float | None, rng: np.random.Generator) -> None:
    x = draw(rng, shape)
    want = np.minimum(np.maximum(x, 0) + np.float32(slope or 0) * np.minimum(x, 0), 6)
    assert_matches(run_layer(layer("ReLU6", slope_text("relu6_param", slope)), {"data": x})["out"], want)
    flag = layer("ReLU", slope_text("relu_param", slope, "relu6: true"))
    assert_matches(run_layer(flag, {"data": x})["out"], want)


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_neg_relu(shape: tuple[int, ...], slope: float | None, rng: np.random.Generator) -> None:
    x = draw(rng, shape)
    want = np.minimum(x, 0) + np.float32(slope or 0) * np.maximum(x, 0)
    assert_matches(run_layer(layer("NegReLU", slope_text("relu_param", slope)), {"data": x})["out"], want)


@pytest.mark.parametrize("shape", SHAPES)
def test_hard_swish(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = draw(rng, shape)
    y = x.astype(np.float64)
    assert_matches(run_layer(layer("HardSwish"), {"data": x})["out"], y * np.clip(y + 3, 0, 6) / 6, tolerance=1e-6)


@pytest.mark.parametrize(
    ("text", "alpha", "beta"),
    [
        ("", 0.2, 0.5),
        ("hard_sigmoid_param { alpha: 0.3 }", 0.3, 0.5),
        ("hard_sigmoid_param { beta: -0.7 }", 0.2, -0.7),
        ("hard_sigmoid_param { alpha: -0.05 beta: 0 }", -0.05, 0),
        ("hard_sigmoid_param { alpha: 0 }", 0, 0.5),
    ],
)
def test_hard_sigmoid(text: str, alpha: float, beta: float, rng: np.random.Generator) -> None:
    for shape in SHAPES:
        x = draw(rng, shape)
        want = np.clip(alpha * x.astype(np.float64) + beta, 0, 1)
        assert_matches(run_layer(layer("HardSigmoid", text), {"data": x})["out"], want, tolerance=1e-6)


@pytest.mark.parametrize("type_", ["ReLU6", "NegReLU", "HardSwish", "HardSigmoid"])
def test_in_place(type_: str, rng: np.random.Generator) -> None:
    x = draw(rng, (2, 3))
    apart = run_layer(layer(type_), {"data": x})["out"]
    assert_matches(run_layer(layer(type_).replace('top: "out"', 'top: "data"'), {"data": x})["data"], apart)
    assert not np.array_equal(apart, x)


def test_idioms() -> None:
    shapes = {"data": (2, 3, 4, 5)}
    for text, want in (
        (layer("ReLU6"), 'layers.ReLU(max_value=6.0, name="out")'),
        (layer("ReLU", "relu_param { relu6: true }"), 'layers.ReLU(max_value=6.0, name="out")'),
        (layer("ReLU6", slope_text("relu6_param", 0.1)), 'layers.ReLU(max_value=6.0, negative_slope=0.1, name="out")'),
        (layer("HardSwish"), 'layers.Activation("hard_silu", name="out")'),
        (layer("NegReLU"), 'NegReLU(name="out")'),
        (layer("NegReLU", slope_text("relu_param", 0.1)), 'NegReLU(positive_slope=0.1, name="out")'),
    ):
        assert want in emitted(text, shapes)


def test_names_for_other_layers() -> None:
    assert activation_name(ReLU6()) == activation_name(ReLU(relu6=True)) == "relu6"
    assert activation_name(ReLU6(negative_slope=0.1)) is None
    assert activation_name(ReLU(negative_slope=0.1, relu6=True)) is None
    assert activation_name(HardSwish()) == "hard_silu"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (layer("ReLU6"), "relu6"),
        (layer("ReLU", "relu_param { relu6: true }"), "relu6"),
        (layer("HardSwish"), "hard_silu"),
    ],
)
def test_joined_with_the_layer_before(text: str, name: str, rng: np.random.Generator) -> None:
    conv = (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        "convolution_param { num_output: 2 kernel_size: 1 } }"
    )
    text = conv + text.replace('"data"', '"c"').replace('"out"', '"c"').replace('name: "c"', 'name: "act"')
    shapes = {"data": (2, 3, 4, 5)}
    assert calls(text, shapes) == ["Conv2D"]
    assert f'activation="{name}"' in emitted(text, shapes)
    x, w, b = (rng.standard_normal(s).astype(np.float32) * 4 for s in ((2, 3, 4, 5), (2, 3, 1, 1), (2,)))
    y = np.einsum("oi,nihw->nohw", w[:, :, 0, 0].astype(np.float64), x) + b[:, None, None]
    want = np.clip(y, 0, 6) if name == "relu6" else y * np.clip(y + 3, 0, 6) / 6
    assert_matches(run_layer(text, {"data": x}, {"c": [w, b]})["c"], want, tolerance=2e-6)
