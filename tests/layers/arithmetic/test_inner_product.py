"""InnerProduct: recordings of Caffe, and every axis against plain sums in Caffe's order."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

SHAPES = [(4,), (3, 4), (2, 3, 5), (2, 4, 3, 5), (2, 3, 2, 4, 5)]


def inner_product(parameters: str, bottom: str = "data") -> str:
    return layer("InnerProduct", "out", [bottom], parameters=f"inner_product_param {{ num_output: 6 {parameters} }}")


def product(x: Array, w: Array, b: Array, axis: int) -> Array:
    """Compute one output after the other, in float64; w is (outputs, inputs)."""
    rows = x.reshape(*x.shape[:axis], -1).astype(np.float64)
    y = np.empty((*x.shape[:axis], len(w)), np.float64)
    for place in np.ndindex(y.shape):
        y[place] = sum(rows[place[:-1]] * w[place[-1]]) + b[place[-1]]
    return y.astype(np.float32)


@pytest.mark.parametrize("case", recorded("inner_product", "lrn_pool_ip", "pool_flatten_concat_ip"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize(("shape", "axis"), [(s, a) for s in SHAPES for a in range(len(s))])
def test_axes(shape: tuple[int, ...], axis: int, rng: np.random.Generator) -> None:
    """Bias, transposed weights and negative axes alternate."""
    turn = axis + len(shape)
    bias, transpose = turn % 2 == 0, turn % 4 < 2
    size = int(np.prod(shape[axis:]))
    x, w, b = (rng.normal(0, 2, s).astype(np.float32) for s in (shape, (6, size), (6,)))
    written = axis - len(shape) if turn % 3 else axis
    text = inner_product(f"axis: {written} bias_term: {str(bias).lower()} transpose: {str(transpose).lower()}")
    out = run_layer(text, {"data": x}, {"out": [w.T if transpose else w, *([b] if bias else [])]})
    assert_matches(out["out"], product(x, w, b * bias, axis))


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
@pytest.mark.parametrize("transpose", ["false", "true"])
def test_after_a_convolution(axis: int, transpose: str, rng: np.random.Generator) -> None:
    parameters = "convolution_param { num_output: 5 kernel_size: 1 bias_term: false }"
    text = layer("Convolution", "conv", ["data"], parameters=parameters)
    size = int(np.prod((2, 5, 4, 3)[axis:]))
    x, k, w, b = (rng.normal(0, 2, s).astype(np.float32) for s in ((2, 3, 4, 3), (5, 3, 1, 1), (6, size), (6,)))
    text += inner_product(f"axis: {axis} transpose: {transpose}", "conv")
    text += layer("Sigmoid", "act", ["out"], ["out"])
    out = run_layer(text, {"data": x}, {"conv": [k], "out": [w.T if transpose == "true" else w, b]})
    y = product(np.einsum("nchw,oc->nohw", x, k[..., 0, 0]), w, b, axis)
    assert_matches(out["out"], 1 / (1 + np.exp(-y.astype(np.float64))))


def test_after_concatenated_flattened_blobs(rng: np.random.Generator) -> None:
    text = """
    layer { name: "a" type: "Flatten" bottom: "data" top: "a" }
    layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
    layer { name: "b" type: "Flatten" bottom: "pool" top: "b" }
    layer { name: "ab" type: "Concat" bottom: "b" bottom: "a" top: "ab" }
    """
    x = rng.normal(0, 2, (2, 3, 4, 6)).astype(np.float32)
    w, b = (rng.normal(0, 2, s).astype(np.float32) for s in ((6, 90), (6,)))
    out = run_layer(text + inner_product("", "ab"), {"data": x}, {"out": [w, b]})
    pooled = x.reshape(2, 3, 2, 2, 3, 2).max(axis=(3, 5)).reshape(2, -1)
    assert_matches(out["out"], product(np.concatenate([pooled, x.reshape(2, -1)], 1), w, b, 1))


def test_errors() -> None:
    for text, message in (
        (inner_product("axis: 2"), "inner_product_param.axis: axis 2 is out of range for a blob of 2 axes"),
        (inner_product("axis: -3"), "inner_product_param.axis: axis -3 is out of range"),
        (inner_product("").replace("num_output: 6", ""), "inner_product_param.num_output is required"),
        (
            inner_product("").replace("num_output: 6", "num_output: 0"),
            "inner_product_param.num_output must be 1 or more, not 0",
        ),
    ):
        with pytest.raises(Caffe2TFError, match=message):
            run_layer(text, {"data": np.ones((2, 3))})
