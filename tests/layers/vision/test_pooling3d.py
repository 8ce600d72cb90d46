"""Pooling3D: plain loops over (N, C, L, H, W), both parameter blocks, emitted layers, errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.vision.pooling3d import Pooling3D
from tests import builders
from tests.builders import input_layers, write_prototxt
from tests.layers.oracle import Array, assert_matches, run_layer

LOWEST = float(np.finfo(np.float32).min)
Ints = tuple[int, ...]


def draw(*shape: int, seed: int = 5) -> Array:
    """Draw mostly negative values, so that a zero of padding would be the maximum."""
    return (np.random.default_rng([seed, *shape]).standard_normal(shape) - 1.5).astype(np.float32)


def pool(x: Array, method: str, k: Ints, s: Ints, p: Ints) -> Array:
    """Pool one window after the other; windows outside the input are kept."""
    spatial = x.shape[2:]
    out = [math.ceil((n + 2 * pi - ki) / si) + 1 for n, ki, si, pi in zip(spatial, k, s, p, strict=True)]
    top = np.zeros((*x.shape[:2], *out))
    for place in np.ndindex(*out):
        start = [i * si - pi for i, si, pi in zip(place, s, p, strict=True)]
        stop = [min(a + ki, n + pi) for a, ki, n, pi in zip(start, k, spatial, p, strict=True)]
        size = math.prod(b - a for a, b in zip(start, stop, strict=True))
        inside = tuple(slice(max(a, 0), max(min(b, n), 0)) for a, b, n in zip(start, stop, spatial, strict=True))
        values = x[(slice(None), slice(None), *inside)].astype(np.float64)
        if method == "MAX":
            found = values.max(axis=(2, 3, 4), initial=LOWEST)
        else:
            found = values.sum(axis=(2, 3, 4)) / size if size else np.full(x.shape[:2], math.nan)
        top[(slice(None), slice(None), *place)] = found
    return top.astype(np.float32)


def layer(parameters: str, name: str = "y", *, block: str = "pooling3d_param") -> str:
    return builders.layer("Pooling3D", name, ["data"], parameters=f"{block} {{ {parameters} }}")


def fields(method: str, k: Ints, s: Ints, p: Ints) -> str:
    words = f"pool: {method} kernel_depth: {k[0]} kernel_size: {k[1]} temporal_stride: {s[0]} stride: {s[1]}"
    return words + (f" pad: {p[1]}" if p[1] else "")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("block", ["pooling3d_param", "pooling_param"])
def test_any_window(seed: int, block: str) -> None:
    rng = np.random.default_rng(seed)
    extent = tuple(int(v) for v in rng.integers(2, 8, 3))
    cases: list[tuple[str, Ints, Ints, Ints]] = []
    while len(cases) < 8:
        (kd, k), (sd, s), (_, p) = ((int(a), int(b)) for a, b in rng.integers((1, 1, 0), (4, 4, 3), (2, 3)).T)
        method = str(rng.choice(["MAX", "AVE"]))
        pad = p if method == "AVE" else 0
        window = (kd, k, k), (sd, s, s), (0, pad, pad)
        if all(math.ceil((n + 2 * c - a) / b) + 1 > 0 for n, a, b, c in zip(extent, *window, strict=True)):
            cases.append((method, *window))
    x = draw(2, 3, *extent, seed=seed)
    text = "".join(layer(fields(*case), f"y{i}", block=block) for i, case in enumerate(cases))
    out = run_layer(text, {"data": x})
    for i, case in enumerate(cases):
        assert_matches(out[f"y{i}"], pool(x, *case), str(case))


def test_windows_beyond_the_input_are_kept() -> None:
    """Pooling would drop the last row and column of windows; here their size can be 0."""
    x = draw(2, 3, 4, 3, 3)
    out = run_layer(layer(fields("AVE", (1, 2, 2), (1, 3, 3), (0, 1, 1))), {"data": x})["y"]
    want = pool(x, "AVE", (1, 2, 2), (1, 3, 3), (0, 1, 1))
    assert want.shape == (2, 3, 4, 2, 2)
    assert_matches(out, want)
    for step in (4, 5):  # the last window contains only padding, or nothing
        case = ("AVE", (1, 1, 1), (1, step, step), (0, 1, 1))
        want = pool(x, *case)
        assert np.isnan(want).any() == (step == 5)
        assert_matches(run_layer(layer(fields(*case)), {"data": x})["y"], want)


def test_defaults() -> None:
    x = draw(2, 3, 4, 5, 6)
    out = run_layer(layer("kernel_size: 3 kernel_depth: 2"), {"data": x})["y"]
    assert_matches(out, pool(x, "MAX", (2, 3, 3), (1, 1, 1), (0, 0, 0)))


@pytest.mark.parametrize(
    ("words", "source"),
    [
        ("kernel_size: 2 kernel_depth: 1 stride: 2", "layers.MaxPooling3D((1, 2, 2)"),
        ("kernel_size: 2 kernel_depth: 2 stride: 2 temporal_stride: 2", "layers.MaxPooling3D(2, "),
        ("pool: AVE kernel_size: 3 kernel_depth: 1 pad: 1", "layers.ZeroPadding3D((0, 1, 1)"),
    ],
)
def test_keras_layers_if_they_are_exact(tmp_path: Path, words: str, source: str) -> None:
    prototxt = write_prototxt(tmp_path, input_layers({"data": (2, 3, 4, 6, 8)}) + layer(words))
    assert source in caffe2tf.convert(prototxt, None, tmp_path / "out").module.read_text(encoding="utf-8")


def test_unknown_extents() -> None:
    pooling = Pooling3D(method="MAX", kernel=(1, 2, 2), stride=(1, 2, 2), pad=(0, 0, 0), after=(0, 0, 0))
    assert pooling.infer((2, 3, None, 5, None)) == ((2, 3, None, 3, None),)


GOOD = "kernel_size: 3 kernel_depth: 2"


@pytest.mark.parametrize(
    ("block", "words", "shape", "message"),
    [
        ("pooling3d_param", "kernel_size: 3", (2, 3, 4, 5, 6), "pooling3d_param.kernel_depth is required"),
        ("pooling_param", "kernel_depth: 3", (2, 3, 4, 5, 6), "pooling_param.kernel_size is required"),
        ("pooling_param", "kernel_size: 0 kernel_depth: 3", (2, 3, 4, 5, 6), "kernel_size must be 1 or more, not 0"),
        ("pooling3d_param", f"{GOOD} stride: 0", (2, 3, 4, 5, 6), "stride must be 1 or more, not 0"),
        ("pooling3d_param", f"{GOOD} temporal_stride: 0", (2, 3, 4, 5, 6), "temporal_stride must be 1 or more, not 0"),
        ("pooling3d_param", f"{GOOD} pad: 1", (2, 3, 4, 5, 6), "a pad for AVE only, but 1 is given for MAX"),
        ("pooling3d_param", f"{GOOD} pool: STOCHASTIC", (2, 3, 4, 5, 6), "supports MAX and AVE, not STOCHASTIC"),
        ("pooling_param", f"{GOOD} pool: AVE_EXC_PAD", (2, 3, 4, 5, 6), "supports MAX and AVE, not AVE_EXC_PAD"),
        ("pooling_param", f"{GOOD} global_pooling: true", (2, 3, 4, 5, 6), "Pooling3D has no global_pooling"),
        ("pooling3d_param", GOOD, (2, 3, 5, 6), r"an input of 5 axes \(N, C, L, H, W\), not 4"),
        ("pooling3d_param", "kernel_size: 3 kernel_depth: 8", (2, 3, 4, 5, 6), r"window \(8x3x3\) is larger than"),
    ],
)
def test_errors(block: str, words: str, shape: Ints, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer(words, block=block), {"data": draw(*shape)})


def test_there_is_no_mask() -> None:
    text = builders.layer("Pooling3D", "y", ["data"], ["y", "mask"], f"pooling3d_param {{ {GOOD} }}")
    with pytest.raises(Caffe2TFError, match="1 top"):
        run_layer(text, {"data": draw(2, 3, 4, 5, 6)})
