"""Im2col: recordings of Caffe, random windows against plain loops in Caffe's order, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.vision.im2col import Im2col
from caffe2tf.layers.window import StatedWindow
from caffe2tf.proto import caffe_pb2
from tests import builders
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

Ints = tuple[int, ...]


def windows(spatial: Ints, k: Ints, s: Ints, p: Ints, d: Ints) -> Ints:
    """Return the number of windows along each axis; quotients are rounded towards 0, as in C++."""
    along = zip(spatial, k, s, p, d, strict=True)
    return tuple(int((n + 2 * pi - di * (ki - 1) - 1) / si) + 1 for n, ki, si, pi, di in along)


def unfold(x: Array, axis: int, k: Ints, s: Ints, p: Ints, d: Ints) -> Array:
    """Copy the values of each window, one after the other."""
    before, channels, spatial = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    out = windows(spatial, k, s, p, d)
    y = np.zeros((*before, channels, *k, *out), np.float32)
    for b in np.ndindex(*before):
        for c in range(channels):
            for offset in np.ndindex(*k):
                for place in np.ndindex(*out):
                    at = tuple(o * si + f * di - pi for o, f, si, pi, di in zip(place, offset, s, p, d, strict=True))
                    if all(0 <= a < n for a, n in zip(at, spatial, strict=True)):
                        y[(*b, c, *offset, *place)] = x[(*b, c, *at)]
    return y.reshape(*before, -1, *out)


def layer(parameters: str) -> str:
    return builders.layer("Im2col", "out", ["data"], parameters=f"convolution_param {{ {parameters} }}")


def draw(shape: Ints) -> Array:
    return np.random.default_rng(8).standard_normal(shape).astype(np.float32)


def repeated(name: str, values: Ints) -> str:
    return " ".join(f"{name}: {v}" for v in values)


@pytest.mark.parametrize("case", recorded("im2col_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


def per_axis(spatial: int) -> st.SearchStrategy[dict[str, Any]]:
    def some(low: int, high: int) -> st.SearchStrategy[Ints]:
        return st.tuples(*(st.integers(low, high),) * spatial)

    return st.fixed_dictionaries(
        {"n": some(1, 6), "k": some(1, 3), "s": some(1, 3), "p": some(0, 2), "d": some(0, 2), "nd": st.booleans()}
    )


@settings(max_examples=60)
@given(c=st.integers(1, 3).flatmap(per_axis), axis=st.integers(0, 2))
def test_any_window(c: dict[str, Any], axis: int) -> None:
    x = draw((*(2, 3)[:axis], 2, *c["n"]))
    assume(min(windows(c["n"], c["k"], c["s"], c["p"], c["d"])) > 0)
    want = unfold(x, axis, c["k"], c["s"], c["p"], c["d"])
    text = " ".join(
        repeated(name, c[key]) for name, key in (("kernel_size", "k"), ("stride", "s"), ("pad", "p"), ("dilation", "d"))
    )
    given_axis = axis if c["nd"] else axis - x.ndim
    out = run_layer(layer(f"{text} axis: {given_axis} force_nd_im2col: {str(c['nd']).lower()}"), {"data": x})["out"]
    assert_matches(out, want, tolerance=0)


def test_height_and_width() -> None:
    x = draw((2, 3, 7, 6))
    text = layer("kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 pad_h: 0 pad_w: 1 dilation: 2")
    assert_matches(run_layer(text, {"data": x})["out"], unfold(x, 1, (3, 2), (2, 3), (0, 1), (2, 2)), tolerance=0)


def test_convolution_is_a_matrix_product_with_im2col() -> None:
    x, weight = draw((2, 3, 7, 6)), np.random.default_rng(1).standard_normal((4, 3, 3, 3)).astype(np.float32)
    window = "kernel_size: 3 stride: 2 pad: 1"
    parameters = f"convolution_param {{ num_output: 4 bias_term: false {window} }}"
    conv = builders.layer("Convolution", "conv", ["data"], parameters=parameters)
    out = run_layer(layer(window) + conv, {"data": x}, {"conv": [weight]})
    product = np.einsum("ok,nkhw->nohw", weight.reshape(4, -1), out["out"])
    assert_matches(product, out["conv"])


@pytest.mark.parametrize(
    ("parameters", "shape", "message"),
    [
        ("", (1, 2, 6, 7), "kernel_size is required"),
        ("kernel_size: 0", (1, 2, 6, 7), "kernel_size must be 1 or more"),
        ("kernel_size: 2 stride: 0", (1, 2, 6, 7), "stride must be 1 or more"),
        ("kernel_size: 2 kernel_size: 2 kernel_size: 2", (1, 2, 6, 7), "given 3 times"),
        ("kernel_h: 2 kernel_w: 2 kernel_size: 2", (1, 2, 6, 7), "not both"),
        ("kernel_h: 2 kernel_w: 2", (1, 2, 6), "for 2 spatial axes, the input has 1"),
        ("kernel_size: 9", (1, 2, 6, 7), r"window \(9x9\) is larger than the input \(6x7\)"),
        ("kernel_size: 2 axis: 3", (1, 2, 6, 7), "needs a spatial axis, but axis 3 holds the channels"),
        ("kernel_size: 2 axis: 4", (1, 2, 6, 7), "axis 4 is out of range"),
    ],
)
def test_errors(parameters: str, shape: Ints, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer(parameters), {"data": draw(shape)})


def test_unknown_extents() -> None:
    window = StatedWindow.read(caffe_pb2.ConvolutionParameter(kernel_size=[3, 2], stride=[2]))
    im2col = Im2col(axis=1, window=window)
    assert im2col.infer((None, 4, None, 9)) == ((None, 24, None, 4),)
