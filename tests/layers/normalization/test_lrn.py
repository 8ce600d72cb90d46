"""LRN: recordings of Caffe, and random parameters against plain loops in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def across(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    y = np.empty_like(x, np.float64)
    for c in range(x.shape[1]):
        first, last = max(c - size // 2, 0), min(c + size // 2, x.shape[1] - 1)
        total = sum(x[:, i].astype(np.float64) ** 2 for i in range(first, last + 1))
        y[:, c] = x[:, c] / (k + alpha / size * total) ** beta
    return y.astype(np.float32)


def within(x: Array, size: int, alpha: float, beta: float) -> Array:
    y = np.empty_like(x, np.float64)
    r, (height, width) = size // 2, x.shape[2:]
    for h in range(height):
        for w in range(width):
            near = x[:, :, max(h - r, 0) : h + r + 1, max(w - r, 0) : w + r + 1].astype(np.float64)
            total = (near**2).sum((2, 3))
            y[:, :, h, w] = x[:, :, h, w] / (1 + alpha / size**2 * total) ** beta
    return y.astype(np.float32)


def lrn(parameters: str) -> str:
    return layer("LRN", "out", ["data"], parameters=f"lrn_param {{ {parameters} }}")


def draw(shape: tuple[int, ...], scale: float = 2.0) -> Array:
    return (np.random.default_rng(3).standard_normal(shape) * scale).astype(np.float32)


@pytest.mark.parametrize("case", recorded("lrn_across", "lrn_within"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@settings(max_examples=60)
@given(
    channels=st.integers(1, 20),
    radius=st.integers(0, 9),
    alpha=st.sampled_from([1e-4, 0.5, 3.0, 0.0]),
    beta=st.sampled_from([0.75, 1.3, 0.5, 0.0, -0.4]),
    k=st.sampled_from([1.0, 2.0, 0.3]),
    scale=st.sampled_from([1.0, 50.0]),
)
def test_across_channels(channels: int, radius: int, alpha: float, beta: float, k: float, scale: float) -> None:
    x, size = draw((2, channels, 3, 4), scale), 2 * radius + 1
    out = run_layer(lrn(f"local_size: {size} alpha: {alpha} beta: {beta} k: {k}"), {"data": x})["out"]
    assert_matches(out, across(x, size, alpha, beta, k), tolerance=2e-6)


@settings(max_examples=40)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 7),
    radius=st.integers(0, 5),
    alpha=st.sampled_from([1e-4, 0.5, 3.0, 0.0]),
    beta=st.sampled_from([0.75, 1.3, 0.0]),
)
def test_within_a_channel(height: int, width: int, radius: int, alpha: float, beta: float) -> None:
    x, size = draw((2, 3, height, width)), 2 * radius + 1
    text = lrn(f"norm_region: WITHIN_CHANNEL local_size: {size} alpha: {alpha} beta: {beta} k: 7")
    assert_matches(run_layer(text, {"data": x})["out"], within(x, size, alpha, beta), tolerance=2e-6)


def test_defaults() -> None:
    x = draw((2, 7, 3, 4))
    assert_matches(run_layer(lrn(""), {"data": x})["out"], across(x, 5, 1.0, 0.75, 1.0), tolerance=1e-6)
    out = run_layer(lrn("norm_region: WITHIN_CHANNEL"), {"data": x})["out"]
    assert_matches(out, within(x, 5, 1.0, 0.75), tolerance=1e-6)


def test_alexnet() -> None:
    """With AlexNet's extents, parameters and scale of activations, results agree to almost the last bit."""
    x = draw((1, 96, 13, 15), 50.0)
    out = run_layer(lrn("local_size: 5 alpha: 1e-4 beta: 0.75"), {"data": x})["out"]
    assert_matches(out, across(x, 5, 1e-4, 0.75, 1.0), tolerance=3e-7)


@pytest.mark.parametrize(
    ("parameters", "k"), [("k: 0 local_size: 3", 0.0), ("k: 1e-6 local_size: 3", 1e-6), ("k: 0 local_size: 1", 0.0)]
)
def test_small_k(parameters: str, k: float) -> None:
    x = draw((1, 6, 3, 4))
    size = 1 if "size: 1" in parameters else 3
    assert_matches(run_layer(lrn(parameters), {"data": x})["out"], across(x, size, 1.0, 0.75, k), tolerance=2e-6)


@pytest.mark.parametrize("size", [0, 4])
@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
def test_refuse_even_local_size(size: int, region: str) -> None:
    with pytest.raises(Caffe2TFError, match=f"local_size must be an odd number, not {size}"):
        run_layer(lrn(f"local_size: {size} norm_region: {region}"), {"data": draw((1, 2, 3, 4))})


@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
def test_refuse_other_than_four_axes(region: str) -> None:
    with pytest.raises(Caffe2TFError, match=r"input of 4 axes \(N, C, H, W\), not 2"):
        run_layer(lrn(f"norm_region: {region}"), {"data": draw((2, 3))})
