"""Correlation and Correlation1D: recordings, all parameters against FlowNet's loops, FlowNet's size, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.vision.correlation import Correlation
from tests import builders
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def layer(parameters: str, type_: str = "Correlation") -> str:
    return builders.layer(type_, "out", ["a", "b"], parameters=f"correlation_param {{ {parameters} }}")


def draw(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(sum(shape) + seed).standard_normal(shape).astype(np.float32)


def naive(a: Array, b: Array, p: dict[str, int], *, flat: bool = False, subtract: bool = False) -> Array:
    """Average each patch for each displacement; values beyond the padding are 0, too.

    Args:
        a: the first bottom.
        b: the second bottom.
        p: the parameters.
        flat: whether displacements and padding are along the width only.
        subtract: whether absolute differences are averaged instead of products.
    """
    k, most, pad, s1, s2 = (p[n] for n in ("kernel_size", "max_displacement", "pad", "stride_1", "stride_2"))
    radius, steps, far = k // 2, most // s2, most + s2
    across = list(range(-steps, steps + 1))
    if flat:
        across = {0: across, -1: list(range(-steps - 1, 0)), 1: list(range(steps + 1))}[p.get("single_direction", 0)]
    down = [0] if flat else across
    pad_y, most_y = (0, 0) if flat else (pad, most)
    height = math.ceil((a.shape[2] + 2 * pad_y - 2 * (most_y + radius)) / s1)
    width = math.ceil((a.shape[3] + 2 * pad - 2 * (most + radius)) / s1)
    around = [(0, 0), (0, 0), (pad_y + far, pad_y + far), (pad + far, pad + far)]
    a, b = np.pad(a, around), np.pad(b, around)
    out = np.zeros((a.shape[0], len(down) * len(across), height, width))
    for n, y, x in np.ndindex(a.shape[0], height, width):
        top, left = far + y * s1 + most_y, far + x * s1 + most
        patch = a[n, :, top : top + k, left : left + k].astype(np.float64)
        for i, dy in enumerate(down):
            for j, dx in enumerate(across):
                row, column = top + dy * s2, left + dx * s2
                other = b[n, :, row : row + k, column : column + k]
                value = np.abs(patch - other) if subtract else patch * other
                out[n, i * len(across) + j, y, x] = value.mean()
    return out.astype(np.float32)


SETTINGS = [
    {"kernel_size": 1, "max_displacement": 4, "pad": 4, "stride_1": 1, "stride_2": 2},
    {"kernel_size": 1, "max_displacement": 3, "pad": 2, "stride_1": 2, "stride_2": 1},
    {"kernel_size": 3, "max_displacement": 2, "pad": 3, "stride_1": 1, "stride_2": 1},
    {"kernel_size": 3, "max_displacement": 5, "pad": 5, "stride_1": 2, "stride_2": 2},
    {"kernel_size": 5, "max_displacement": 1, "pad": 0, "stride_1": 3, "stride_2": 2},
    {"kernel_size": 1, "max_displacement": 0, "pad": 1, "stride_1": 3, "stride_2": 1},
]


def text_of(settings: dict[str, int]) -> str:
    return " ".join(f"{name}: {number}" for name, number in settings.items())


@pytest.mark.parametrize("case", recorded("fork_correlation"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("subtract", [False, True])
@pytest.mark.parametrize("settings", SETTINGS, ids=text_of)
def test_every_parameter(settings: dict[str, int], subtract: bool) -> None:
    a, b = draw(2, 3, 9, 11), draw(2, 3, 9, 11, seed=1)
    kind = "correlation_type: SUBTRACT" if subtract else ""
    have = run_layer(layer(f"{text_of(settings)} {kind} single_direction: 1"), {"a": a, "b": b})["out"]
    assert_matches(have, naive(a, b, settings, subtract=subtract))


@pytest.mark.parametrize("subtract", [False, True])
@pytest.mark.parametrize("direction", [-1, 0, 1])
@pytest.mark.parametrize("settings", SETTINGS[:4], ids=text_of)
def test_displacements_along_the_width_only(settings: dict[str, int], direction: int, subtract: bool) -> None:
    a, b = draw(2, 3, 7, 12), draw(2, 3, 7, 12, seed=1)
    settings = {**settings, "single_direction": direction}
    kind = "correlation_type: SUBTRACT" if subtract else ""
    have = run_layer(layer(f"{text_of(settings)} {kind}", "Correlation1D"), {"a": a, "b": b})["out"]
    assert_matches(have, naive(a, b, settings, flat=True, subtract=subtract))


@pytest.mark.parametrize("type_", ["Correlation", "Correlation1D"])
@pytest.mark.parametrize("kind", ["MULTIPLY", "SUBTRACT"])
def test_saved_model_takes_any_batch(type_: str, kind: str) -> None:
    settings = {**SETTINGS[2], "single_direction": -1}
    text = layer(f"{text_of(settings)} correlation_type: {kind}", type_)
    a, b = draw(3, 2, 6, 8), draw(3, 2, 6, 8, seed=1)
    (have,) = reloaded(built(text, {"a": (1, 2, 6, 8), "b": (1, 2, 6, 8)}), [np.moveaxis(v, 1, 3) for v in (a, b)])
    want = naive(a, b, settings, flat=type_ == "Correlation1D", subtract=kind == "SUBTRACT")
    assert_matches(np.moveaxis(have, 3, 1), want)


def test_nan_affects_only_the_patches_that_contain_it() -> None:
    a, b = draw(1, 2, 5, 6), draw(1, 2, 5, 6, seed=1)
    b[0, 1, 2, 4] = np.nan
    have = run_layer(layer(text_of(SETTINGS[0])), {"a": a, "b": b})["out"]
    assert_matches(have, naive(a, b, SETTINGS[0]))
    assert 0 < np.isnan(have).sum() < have.size


def test_emitted_layer_and_its_cost() -> None:
    shapes = {"a": (2, 3, 8, 9), "b": (2, 3, 8, 9)}
    assert calls(layer("kernel_size: 1 max_displacement: 2"), shapes) == ["Correlation"]
    flownet = Correlation(
        kernel_size=1, max_displacement=20, pad=20, stride_1=1, stride_2=2, subtract=False, do_abs=False
    )
    sizes = [(1, 256, 48, 64)] * 2
    assert flownet.infer(*sizes) == ((1, 441, 48, 64),)
    assert flownet.multiply_adds(sizes, flownet.infer(*sizes)) == 441 * 48 * 64 * 256


def test_do_abs_has_no_effect_but_a_note() -> None:
    a, b = draw(2, 3, 9, 11), draw(2, 3, 9, 11, seed=1)
    have = run_layer(layer(f"{text_of(SETTINGS[0])} do_abs: true"), {"a": a, "b": b})["out"]
    assert_matches(have, naive(a, b, SETTINGS[0]))
    one = Correlation(kernel_size=1, max_displacement=2, pad=0, stride_1=1, stride_2=1, subtract=False, do_abs=True)
    assert one.remarks() == ("correlation_param.do_abs has no effect, as in FlowNet's own code",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer("max_displacement: 2"), "correlation_param.kernel_size is required"),
        (layer("kernel_size: 1"), "correlation_param.max_displacement is required"),
        (layer("kernel_size: 2 max_displacement: 2"), "kernel_size must be an odd number, not 2"),
        (layer("kernel_size: 1 max_displacement: 2 stride_1: 0"), "stride_2 must be 1 or more, not 0 and 1"),
        (layer("kernel_size: 1 max_displacement: 2 stride_2: 0"), "stride_2 must be 1 or more, not 1 and 0"),
        (layer("kernel_size: 3 max_displacement: 3"), "extent of 8 with pad 0 .* max_displacement 3 and kernel_size 3"),
        (layer("kernel_size: 1 max_displacement: 5", "Correlation1D"), "extent of 9 with pad 0 .* max_displacement 5"),
        (layer("kernel_size: 1 max_displacement: 1 single_direction: 2", "Correlation1D"), "or 1 .right., not 2"),
        (layer("kernel_size: 1 max_displacement: 1").replace('"b"', '"c"'), "the first is 2x3x8x9, the second 2x4x8x9"),
        (layer("kernel_size: 1 max_displacement: 1").replace('"b"', '"d"'), "the same shape: .* the second 1x3x8x9"),
        (layer("kernel_size: 1 max_displacement: 1").replace('"b"', '"e"'), "4 axes .*, not 2x3x8x9 and 2x3x8"),
        (layer("kernel_size: 1 max_displacement: 1").replace('bottom: "b"', ""), "takes 2 bottoms, 1 given"),
    ],
)
def test_errors(text: str, message: str) -> None:
    fed = {"a": draw(2, 3, 8, 9), "b": draw(2, 3, 8, 9), "c": draw(2, 4, 8, 9), "d": draw(1, 3, 8, 9)}
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {**fed, "e": draw(2, 3, 8)})
