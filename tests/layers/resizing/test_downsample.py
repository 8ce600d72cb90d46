"""Downsample: all ratios against FlowNet's loop, NaN, emitted layers, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests import builders
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer

F = np.float32


def layer(parameters: str = "", *, reference: bool = False) -> str:
    bottoms = ["data", "like"] if reference else ["data"]
    return builders.layer("Downsample", "out", bottoms, parameters=f"downsample_param {{ {parameters} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def naive(x: Array, size: tuple[int, int]) -> Array:
    """Average the window around each output value, as FlowNet does."""
    *_, height, width = x.shape
    wide, high = (F(b - 1) / F(a - 1) for b, a in ((width, size[1]), (height, size[0])))
    out = np.zeros((*x.shape[:2], *size), np.float32)
    for n, c, i, j in np.ndindex(*out.shape):
        at_x, at_y = F(j) / F(size[1] - 1) * F(width - 1), F(i) / F(size[0] - 1) * F(height - 1)
        mid_x, mid_y = math.floor(at_x + F(0.5)), math.floor(at_y + F(0.5))
        value, weight, lost = 0.0, 0.0, 0.0
        for row in range(mid_y - math.ceil(high), mid_y + math.ceil(high) + 1):
            for column in range(mid_x - math.ceil(wide), mid_x + math.ceil(wide) + 1):
                if 0 <= row < height and 0 <= column < width:
                    sample = float(x[n, c, row, column])
                    along = max(0.0, 1 - float(abs(F(column) - at_x) / wide))
                    w = along * max(0.0, 1 - float(abs(F(row) - at_y) / high))
                    if np.isnan(sample):
                        lost += w
                    else:
                        value, weight = value + sample * w, weight + w
        if weight == 0:
            out[n, c, i, j] = np.nan
        else:
            out[n, c, i, j] = np.nan if lost / weight > 0.5 else value / weight
    return out


@pytest.mark.parametrize("size", [(2, 3), (4, 5), (3, 9), (8, 2), (6, 8), (9, 10)])
def test_every_size(size: tuple[int, int]) -> None:
    x = draw(2, 3, 9, 11)
    have = run_layer(layer(f"top_height: {size[0]} top_width: {size[1]}"), {"data": x})["out"]
    assert_matches(have, naive(x, size))


def test_some_values_are_nan_if_an_axis_gets_larger() -> None:
    x = draw(1, 2, 4, 9)
    have = run_layer(layer("top_height: 9 top_width: 4"), {"data": x})["out"]
    want = naive(x, (9, 4))
    assert 0 < np.isnan(want).sum() < want.size
    assert_matches(have, want)


def test_nan_is_ignored_unless_it_prevails() -> None:
    x = draw(1, 2, 13, 15)
    x[np.random.default_rng(5).random(x.shape) < 0.4] = np.nan
    have = run_layer(layer("top_height: 5 top_width: 6"), {"data": x})["out"]
    want = naive(x, (5, 6))
    assert 0.1 < np.isnan(want).mean() < 0.9
    assert_matches(have, want)


def test_size_of_a_second_bottom() -> None:
    x, like = draw(2, 3, 9, 11), draw(2, 5, 4, 3)
    text = layer("top_height: 2 top_width: 2", reference=True)
    assert_matches(run_layer(text, {"data": x, "like": like})["out"], naive(x, (4, 3)))


def test_saved_model_takes_any_batch() -> None:
    x = draw(3, 2, 9, 7)
    text = layer("top_height: 4 top_width: 5")
    (have,) = reloaded(built(text, {"data": (1, 2, 9, 7)}), [np.moveaxis(x, 1, 3)])
    assert_matches(np.moveaxis(have, 3, 1), naive(x, (4, 5)))


def test_emitted_layers() -> None:
    relu = builders.layer("ReLU", "r", ["out"])
    assert calls(layer("top_height: 4 top_width: 5"), {"data": (1, 2, 9, 7)}) == ["Downsample"]
    assert calls(layer("top_height: 9 top_width: 7") + relu, {"data": (1, 2, 9, 7)}) == ["ReLU"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer("top_height: 4"), "downsample_param.top_height and top_width must be 1 or more, not 4 and 0"),
        (layer("top_height: 4 top_width: 1"), "must be 2 or more, .* they are 9x7 and 4x1"),
        (layer("top_height: 4 top_width: 4").replace('"data"', '"flat"'), "4 axes .*, not 2x3x5"),
        (layer(reference=True).replace('"like"', '"flat"'), "4 axes .*, not 2x3x5"),
        (layer("top_height: 4 top_width: 4").replace('"data"', '"thin"'), "they are 9x1 and 4x4"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 9, 7), "flat": draw(2, 3, 5), "thin": draw(2, 3, 9, 1)})
