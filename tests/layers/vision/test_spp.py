"""SPP: recordings of Caffe, random pyramids against plain loops in Caffe's order, errors."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from caffe2tf.errors import Caffe2TFError, LayerError
from caffe2tf.layers.vision.spp import SPP
from tests import builders
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def kernel_and_pad(n: int, bins: int) -> tuple[int, int]:
    kernel = math.ceil(n / bins)
    return kernel, (kernel * bins - n + 1) // 2


def level_windows(n: int, kernel: int, pad: int, *, padded: bool) -> list[tuple[int, int]]:
    """Return (start, stop) of each window of a level along one axis; the stride is the kernel."""
    count = math.ceil((n + 2 * pad - kernel) / kernel) + 1
    found = [(i * kernel - pad, (i + 1) * kernel - pad) for i in range(count)]
    return [w for w in found if w[0] < n] if padded else found


def pyramid(x: Array, levels: int, method: str) -> Array:
    """Pool one window after the other, level by level."""
    rows = []
    height, width = x.shape[2:]
    for level in range(levels):
        (kernel_h, pad_h), (kernel_w, pad_w) = (kernel_and_pad(n, 2**level) for n in (height, width))
        padded = bool(pad_h or pad_w)
        down = level_windows(height, kernel_h, pad_h, padded=padded)
        across = level_windows(width, kernel_w, pad_w, padded=padded)
        grid = np.empty((*x.shape[:2], len(down), len(across)), np.float32)
        for (i, (top, bottom)), (j, (left, right)) in itertools.product(enumerate(down), enumerate(across)):
            part = x[:, :, max(top, 0) : bottom, max(left, 0) : right]
            if method == "MAX":
                grid[:, :, i, j] = part.max((2, 3))
            else:
                size = (min(bottom, height + pad_h) - top) * (min(right, width + pad_w) - left)
                grid[:, :, i, j] = part.sum((2, 3)) / size
        rows.append(grid)
    if levels == 1:
        return rows[0]
    return np.concatenate([g.reshape(len(x), -1) for g in rows], 1)


def layer(parameters: str) -> str:
    return builders.layer("SPP", "out", ["data"], parameters=f"spp_param {{ {parameters} }}")


def draw(shape: tuple[int, ...]) -> Array:
    return (np.random.default_rng(9).standard_normal(shape) - 1).astype(np.float32)


@pytest.mark.parametrize("case", recorded("spp_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@settings(max_examples=50)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    levels=st.integers(1, 4),
    method=st.sampled_from(["MAX", "AVE"]),
)
def test_any_pyramid(height: int, width: int, levels: int, method: str) -> None:
    levels_fit = [kernel_and_pad(n, 2**i) for i in range(levels) for n in (height, width)]
    assume(all(pad < kernel for kernel, pad in levels_fit))
    x = draw((2, 3, height, width))
    want = pyramid(x, levels, method)
    out = run_layer(layer(f"pyramid_height: {levels} pool: {method}"), {"data": x})["out"]
    assert_matches(out, want)


def test_order_of_values_is_folded_into_a_dense_layer() -> None:
    x = draw((2, 3, 9, 12))
    weight = np.random.default_rng(4).standard_normal((4, 3 * 21)).astype(np.float32)
    parameters = "inner_product_param { num_output: 4 bias_term: false }"
    dense = builders.layer("InnerProduct", "ip", ["out"], parameters=parameters)
    out = run_layer(layer("pyramid_height: 3") + dense, {"data": x}, {"ip": [weight]})
    want = pyramid(x, 3, "MAX")
    assert_matches(out["out"], want)
    assert_matches(out["ip"], want @ weight.T)


@pytest.mark.parametrize(
    ("parameters", "shape", "message"),
    [
        ("", (1, 2, 6, 7), "spp_param.pyramid_height is required"),
        ("pyramid_height: 0", (1, 2, 6, 7), "pyramid_height must be 1 or more, not 0"),
        ("pyramid_height: 2 pool: STOCHASTIC", (1, 2, 6, 7), "draws values at random in every phase"),
        ("pyramid_height: 4", (1, 2, 3, 16), r"level 2 of the pyramid \(4 x 4 windows\).*pyramid_height of 2 or less"),
        ("pyramid_height: 2", (2, 6), r"input of 4 axes \(N, C, H, W\), not 2"),
    ],
)
def test_errors(parameters: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer(parameters), {"data": draw(shape)})


def test_unknown_extents() -> None:
    spp = SPP(levels=2, method="MAX")
    assert spp.infer((None, 3, 6, 8)) == ((None, 3 * 5),)
    assert SPP(levels=1, method="AVE").infer((None, 3, 6, 8)) == ((None, 3, 1, 1),)
    with pytest.raises(LayerError, match="must be known"):
        spp.infer((2, 3, None, 8))
