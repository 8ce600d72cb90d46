"""Resample: recordings, all methods and ratios against FlowNet's loops, emitted layers, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.resizing.resample import Resample
from tests import builders
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

F = np.float32


def layer(parameters: str, *, reference: bool = False) -> str:
    bottoms = ["data", "like"] if reference else ["data"]
    return builders.layer("Resample", "out", bottoms, parameters=f"resample_param {{ {parameters} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def half_away(x: float) -> int:
    """Round to the nearest whole number, halves away from 0, as C's round does."""
    return math.floor(x + 0.5) if x >= 0 else -math.floor(-x + 0.5)


def kernel(method: str, distance: np.float32) -> float:
    x = abs(float(distance))
    if method == "LINEAR":
        return max(0.0, 1 - x)
    return 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else (-0.5 * x**3 + 2.5 * x**2 - 4 * x + 2) * (x < 2)


def naive(x: Array, size: tuple[int, int], method: str, *, antialias: bool = True) -> Array:
    """Filter the window around each output pixel in two dimensions, as FlowNet does."""
    items, channels, height, width = x.shape
    fy, fx = F(height) / F(size[0]), F(width) / F(size[1])
    smooth = antialias and (fx > 1 or fy > 1)
    ax, ay = (F(1) / (f if smooth else F(1)) for f in (fx, fy))
    reach = 4 if method == "CUBIC" else 2
    rx, ry = (2 if f < 1 else math.ceil(F(reach) / a) for f, a in ((fx, ax), (fy, ay)))
    out = np.zeros((items, channels, *size))
    for i, j in np.ndindex(*size):
        at_x, at_y = F(j) * fx + fy / F(2) - F(0.5), F(i) * fy + fx / F(2) - F(0.5)
        mid_x, mid_y = half_away(float(at_x)), half_away(float(at_y))
        if method == "NEAREST":
            place = np.arange(channels) * height * width + mid_y * width + mid_x
            out[:, :, i, j] = x.reshape(items, -1)[:, np.minimum(place, channels * height * width - 1)]
            continue
        total, weights = np.zeros((items, channels)), 0.0
        for row in range(max(0, mid_y - ry), min(height, mid_y + ry + 1)):
            for column in range(max(0, mid_x - rx), min(width, mid_x + rx + 1)):
                w = float(ax * ay) * kernel(method, ax * (at_x - F(column))) * kernel(method, ay * (at_y - F(row)))
                total += w * x[:, :, row, column]
                weights += w
        out[:, :, i, j] = total / weights if weights else 0
    return out.astype(np.float32)


SIZES = [(10, 14), (3, 4), (2, 11), (9, 3), (5, 13), (7, 7), (1, 1), (4, 2)]


@pytest.mark.parametrize("case", recorded("fork_resample"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("method", ["NEAREST", "LINEAR", "CUBIC"])
@pytest.mark.parametrize("size", SIZES)
def test_every_size(size: tuple[int, int], method: str, antialias: bool) -> None:
    x = draw(2, 3, 5, 7)
    text = layer(f"height: {size[0]} width: {size[1]} type: {method} antialias: {str(antialias).lower()}")
    assert_matches(run_layer(text, {"data": x})["out"], naive(x, size, method, antialias=antialias))


def test_offsets_use_the_ratio_of_the_other_axis_as_in_flownet() -> None:
    x = np.arange(8, dtype=np.float32).reshape(1, 1, 2, 4)
    have = run_layer(layer("height: 1 width: 4 type: LINEAR"), {"data": x})["out"]
    # The width does not change, but pixel i lies at i + 2 / 2 - 0.5. The two rows differ by 4 and weigh 1 and 0.5.
    assert_matches(have[0, 0, 0], np.array([0.5, 1.5, 2.5, 3]) + 4 / 3)


def test_default_is_linear_with_antialias() -> None:
    x = draw(1, 2, 9, 8)
    assert_matches(run_layer(layer("height: 3 width: 4"), {"data": x})["out"], naive(x, (3, 4), "LINEAR"))


def test_output_is_zero_where_no_pixel_has_weight() -> None:
    x = np.abs(draw(1, 1, 2, 2)) + 1
    have = run_layer(layer("height: 1 width: 9"), {"data": x})["out"]
    want = naive(x, (1, 9), "LINEAR")
    assert (want == 0).any()
    assert (want != 0).any()
    assert_matches(have, want)


def test_size_of_a_second_bottom_takes_precedence() -> None:
    x, like = draw(1, 2, 6, 9), draw(3, 4, 5, 4)
    text = layer("height: 7 width: 8 type: CUBIC", reference=True)
    assert_matches(run_layer(text, {"data": x, "like": like})["out"], naive(x, (5, 4), "CUBIC"))


def test_nan_affects_only_pixels_within_reach_of_the_filter() -> None:
    x = draw(1, 1, 7, 12)
    x[0, 0, 3, 5] = np.nan
    have = run_layer(layer("height: 14 width: 24"), {"data": x})["out"]
    want = np.isnan(naive(x, (14, 24), "LINEAR"))
    assert 0 < want.sum() < want.size / 2
    assert np.array_equal(np.isnan(have), want)


@pytest.mark.parametrize("parameters", ["height: 3 width: 8 type: CUBIC", "height: 4 width: 2 type: NEAREST"])
def test_saved_model_takes_any_batch(parameters: str) -> None:
    x = draw(3, 2, 5, 7)
    (have,) = reloaded(built(layer(parameters), {"data": (1, 2, 5, 7)}), [np.moveaxis(x, 1, 3)])
    assert_matches(np.moveaxis(have, 3, 1), run_layer(layer(parameters), {"data": x})["out"])


def test_batch_of_the_second_bottom_does_not_matter() -> None:
    one = Resample(size=None, method="LINEAR", antialias=True, factor=1)
    shapes = [(2, 3, 5, 7), (4, 1, 8, 9)]
    assert one.infer(*shapes) == ((2, 3, 8, 9),)
    assert one.trace_batch([True, False], shapes, one.infer(*shapes)) is Batch.KEPT
    assert one.trace_batch([False, True], shapes, one.infer(*shapes)) is Batch.ABSENT


def test_emitted_layers() -> None:
    shapes = {"data": (1, 2, 5, 7), "like": (1, 1, 5, 7)}
    relu = builders.layer("ReLU", "r", ["out"])
    assert calls(layer("height: 4 width: 9"), {"data": (1, 2, 5, 7)}) == ["Resample"]
    assert calls(layer("type: CUBIC", reference=True) + relu, shapes) == ["ReLU"]


def test_factor_has_no_effect_but_a_note() -> None:
    x = draw(1, 2, 5, 7)
    assert run_layer(layer("height: 3 width: 4 factor: 2"), {"data": x})["out"].shape == (1, 2, 3, 4)
    one = Resample(size=(3, 4), method="LINEAR", antialias=True, factor=2)
    assert one.remarks() == ("resample_param.factor has no effect, as in FlowNet's own code",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer("height: 4"), "resample_param.height and width must be 1 or more, not 4 and 0; or give a second bottom"),
        (layer("factor: 2"), "must be 1 or more, not 0 and 0"),
        (layer("height: 4 width: 4 type: AREA"), "NEAREST, LINEAR or CUBIC; AREA is missing in FlowNet's code"),
        (layer("height: 4 width: 4").replace('"data"', '"flat"'), "4 axes .*, not 2x3x5"),
        (layer("", reference=True).replace('"like"', '"flat"'), "4 axes .*, not 2x3x5"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 5, 7), "flat": draw(2, 3, 5)})
