"""Losses of Fast R-CNN and R-FCN: recordings of Caffe, every parameter against loops, and what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.loss.smooth_l1_loss import SmoothL1Loss, SmoothL1LossOHEM
from tests.builders import input_layers, layer, write_prototxt
from tests.layers.emitted import emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

NAMES = "abvw"


def loss_layer(
    bottoms: int = 2, parameters: str = "", *, type_: str = "SmoothL1Loss", tops: Sequence[str] = ("loss",)
) -> str:
    return layer(type_, tops[0], NAMES[:bottoms], tops, parameters)


def draw(rng: np.random.Generator, *shapes: tuple[int, ...]) -> dict[str, Array]:
    return {n: (rng.standard_normal(s) * 1.5).astype(np.float32) for n, s in zip(NAMES, shapes, strict=False)}


def costs(fed: Mapping[str, Array], sigma: float = 1.0) -> list[float]:
    """Return the loss of each value, in Caffe's order."""
    a, *others = (v.reshape(-1).astype(float).tolist() for v in fed.values())
    found = []
    for i, x in enumerate(a):
        d = x - others[0][i]
        d *= others[1][i] if len(others) > 1 else 1.0
        cost = 0.5 * sigma**2 * d * d if abs(d) < 1 / sigma**2 else abs(d) - 0.5 / sigma**2
        found.append(cost * (others[2][i] if len(others) > 2 else 1.0))
    return found


@pytest.mark.parametrize("case", recorded("fork_smooth_l1_loss"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("bottoms", [2, 3, 4])
@pytest.mark.parametrize("sigma", [1.0, 3.0, 0.4])
@pytest.mark.parametrize("shape", [(5,), (3, 8), (3, 4, 2), (2, 4, 3, 5)])
def test_loss(bottoms: int, sigma: float, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    fed = draw(rng, *[shape] * bottoms)
    have = run_layer(loss_layer(bottoms, f"smooth_l1_loss_param {{ sigma: {sigma} }}"), fed)["loss"]
    assert have.shape == ()
    assert_matches(have, sum(costs(fed, sigma)) / shape[0])


def test_trailing_axes_of_extent_1_may_be_missing(rng: np.random.Generator) -> None:
    fed = draw(rng, (3, 8), (3, 8, 1, 1), (3, 8, 1), (3, 8))
    assert_matches(run_layer(loss_layer(4), fed)["loss"], sum(costs(fed)) / 3)


@pytest.mark.parametrize(
    ("parameters", "divisor"),
    [
        ("normalization: FULL", 30),
        ("normalization: VALID", 30),
        ("normalization: BATCH_SIZE", 2),
        ("normalization: NONE", 1),
        ("normalization: PRE_FIXED pre_fixed_normalizer: 7.5", 7.5),
        ("normalization: PRE_FIXED pre_fixed_normalizer: 0.5", 1),
        ("normalization: PRE_FIXED", 1),
        ("normalize: true", 30),
        ("normalize: false", 2),
        ("normalize: true normalization: NONE", 1),
        ("", None),
    ],
)
@pytest.mark.parametrize("type_", ["SmoothL1Loss", "SmoothL1LossOHEM"])
def test_normalization(type_: str, parameters: str, divisor: float | None, rng: np.random.Generator) -> None:
    fed = draw(rng, (2, 4, 3, 5), (2, 4, 3, 5), (2, 4, 3, 5))
    divisor = divisor or {"SmoothL1Loss": 2, "SmoothL1LossOHEM": 30}[type_]
    have = run_layer(loss_layer(3, f"loss_param {{ {parameters} }}", type_=type_), fed)["loss"]
    assert_matches(have, sum(costs(fed)) / divisor)


@pytest.mark.parametrize("shape", [(5,), (3, 8), (3, 4, 2), (2, 4, 3, 5)])
def test_the_second_top_sums_over_the_channels(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    fed = draw(rng, shape, shape)
    tops = ["loss", "each"]
    have = run_layer(loss_layer(2, "loss_param { normalization: NONE }", type_="SmoothL1LossOHEM", tops=tops), fed)
    number, channels, height, width = (*shape, 1, 1, 1)[:4]
    each = np.reshape(costs(fed), (number, channels, height, width))
    want = np.zeros((number, 1, height, width))
    for n, c, i, j in np.ndindex(each.shape):
        want[n, 0, i, j] += each[n, c, i, j]
    assert_matches(have["each"], want)
    assert_matches(have["loss"], want.sum())


def test_after_a_convolution(rng: np.random.Generator) -> None:
    """The predictions are NHWC, and the targets follow."""
    convolution = layer("Convolution", "conv", ["image"], ["a"], "convolution_param { num_output: 4 kernel_size: 3 }")
    fed = {"image": rng.standard_normal((2, 3, 5, 6)).astype(np.float32)} | draw(rng, (2, 4, 3, 4), (2, 4, 3, 4))
    given = {n: a for n, a in fed.items() if n != "a"}
    have = run_layer(convolution + loss_layer(2, "loss_param { normalize: true }"), given)
    assert_matches(have["loss"], sum(costs({"a": have["a"], "b": fed["b"]})) / 24)


def test_losses_are_left_out_unless_requested() -> None:
    product = layer("InnerProduct", "fc", ["x"], ["a"], "inner_product_param { num_output: 3 }")
    shapes = {"x": (2, 4), "b": (2, 3), "v": (2, 3)}
    ohem = loss_layer(3, type_="SmoothL1LossOHEM", tops=["l2", "each2"])
    softmax = layer("SoftmaxWithLossOHEM", "softmax", ["a", "labels"], ["l3", "p3", "each3"])
    source = emitted(product + loss_layer(3) + ohem + softmax, shapes | {"labels": (2,)})
    assert "Loss" not in source.partition("import keras")[2]
    assert "keras.Input" in source
    assert source.count("keras.Input") == 1
    assert "SmoothL1Loss(" in emitted(product + loss_layer(3), shapes, keep_losses=True)


def test_a_stated_normalization_is_noted(tmp_path: Path) -> None:
    text = input_layers({"a": (2, 3), "b": (2, 3)}) + loss_layer(2, "loss_param { normalize: true }")
    path = write_prototxt(tmp_path, text)
    notes = caffe2tf.convert(path, None, tmp_path / "out", keep_losses=True).notes
    assert any("loss_param is read as in R-FCN's Caffe" in str(n) for n in notes)
    plain = SmoothL1Loss(sigma=1.0, normalization="BATCH_SIZE", pre_fixed=1.0)
    assert plain.remarks() == ()
    assert SmoothL1LossOHEM(sigma=1.0, normalization="NONE", pre_fixed=1.0, stated=True).remarks() == ()


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        (loss_layer(2, "smooth_l1_loss_param { sigma: 0 }"), [(2, 3)] * 2, "sigma must be greater than 0, not 0"),
        (loss_layer(2, "smooth_l1_loss_param { sigma: -1 }"), [(2, 3)] * 2, "sigma must be greater than 0, not -1"),
        (loss_layer(2, "smooth_l1_loss_param { sigma: inf }"), [(2, 3)] * 2, "sigma must be finite, not inf"),
        (
            loss_layer(
                2, "loss_param { normalization: PRE_FIXED pre_fixed_normalizer: nan }", type_="SmoothL1LossOHEM"
            ),
            [(2, 3)] * 2,
            "loss_param.pre_fixed_normalizer must be finite, not nan",
        ),
        (loss_layer(2), [(2, 3), (4, 3)], "same extent along axis 0, not 2 and 4"),
        (loss_layer(2), [(2, 3), (2, 4)], "bottom 0 is 2x3, bottom 1 is 2x4"),
        (loss_layer(2), [(2, 6), (2, 2, 3)], "channels, height and width: bottom 0 is 2x6, bottom 1 is 2x2x3"),
        (loss_layer(3), [(2, 3), (2, 3), (2, 1)], "bottom 0 is 2x3, bottom 2 is 2x1"),
        (loss_layer(4), [(2, 3), (2, 3), (2, 3), (1, 3)], "bottom 0 is 2x3, bottom 3 is 1x3"),
        (loss_layer(2), [(2, 3, 1, 1, 1)] * 2, "at most 4 axes"),
        (loss_layer(1), [(2, 3)], "takes 2 to 4 bottoms, 1 given"),
        (loss_layer(4, type_="SmoothL1LossOHEM"), [(2, 3)] * 4, "takes 2 to 3 bottoms, 4 given"),
        (loss_layer(2, type_="SoftmaxWithLossOHEM"), [(2, 3), (2, 2)], "one label for each prediction: 2 "),
        (
            loss_layer(2, "softmax_param { axis: 2 }", type_="SoftmaxWithLossOHEM"),
            [(2, 3), (2, 2)],
            "softmax_param.axis: axis 2 is out of range",
        ),
    ],
)
def test_errors(text: str, shapes: list[tuple[int, ...]], message: str, rng: np.random.Generator) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, draw(rng, *shapes))
