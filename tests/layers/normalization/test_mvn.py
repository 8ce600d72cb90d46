"""MVN: recordings of Caffe, and every combination of parameters, ranks and layouts in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def normalize(x: Array, *, variance: bool, across: bool, eps: float) -> Array:
    y = x.astype(np.float64).reshape(*x.shape, *(1,) * (4 - x.ndim))
    shape = y.shape
    rows = y.reshape(shape[0] if across else shape[0] * shape[1], -1)
    rows = rows - rows.sum(1, keepdims=True) / rows.shape[1]
    if variance:
        rows = rows / (np.sqrt((rows**2).sum(1, keepdims=True) / rows.shape[1]) + eps)
    return np.asarray(rows.reshape(shape), np.float32)


def mvn(parameters: str) -> str:
    return layer("MVN", "out", ["data"], parameters=f"mvn_param {{ {parameters} }}")


def draw(shape: tuple[int, ...], seed: int = 1) -> Array:
    return (np.random.default_rng(seed).standard_normal(shape) * 3 - 2).astype(np.float32)


@pytest.mark.parametrize("case", recorded("mvn_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (2, 3, 1, 7), (3, 4, 5), (3, 4), (5,)])
@pytest.mark.parametrize("variance", [True, False])
@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("eps", [None, 0.5])
def test_parameters(shape: tuple[int, ...], variance: bool, across: bool, eps: float | None) -> None:
    x = draw(shape)
    text = f"normalize_variance: {variance} across_channels: {across}".lower()
    text += "" if eps is None else f" eps: {eps}"
    out = run_layer(mvn(text), {"data": x})["out"]
    want = normalize(x, variance=variance, across=across, eps=1e-9 if eps is None else eps)
    assert_matches(out, want, tolerance=2e-6)


def test_epsilon_is_added_to_the_deviation() -> None:
    """With a deviation as small as eps, the result shows that eps is not added to the variance."""
    x = draw((2, 3, 4, 5)) * 1e-3
    out = run_layer(mvn("eps: 1e-3"), {"data": x})["out"]
    assert_matches(out, normalize(x, variance=True, across=False, eps=1e-3))


def test_constant_channels_give_zero() -> None:
    x = np.zeros((2, 3, 4, 5), np.float32)
    x[:, 1] = -2.5
    assert not run_layer(mvn(""), {"data": x})["out"].any()


@pytest.mark.parametrize("across", ["true", "false"])
def test_after_a_convolution_and_before_a_dense_layer(across: str) -> None:
    """The result does not depend on the layout of the tensor."""
    x, rng = draw((2, 3, 4, 5)), np.random.default_rng(2)
    kernel = rng.standard_normal((4, 3, 1, 1)).astype(np.float32)
    weight = rng.standard_normal((2, 4 * 4 * 5)).astype(np.float32)
    text = (
        layer(
            "Convolution", "conv", ["data"], None, "convolution_param { num_output: 4 kernel_size: 1 bias_term: false }"
        )
        + layer("MVN", "mvn", ["conv"], parameters=f"mvn_param {{ across_channels: {across} }}")
        + layer("InnerProduct", "ip", ["mvn"], parameters="inner_product_param { num_output: 2 bias_term: false }")
    )
    out = run_layer(text, {"data": x}, {"conv": [kernel], "ip": [weight]})
    conv = np.einsum("oc,nchw->nohw", kernel[:, :, 0, 0], x).astype(np.float32)
    want = normalize(conv, variance=True, across=across == "true", eps=1e-9)
    assert_matches(out["mvn"], want)
    assert_matches(out["ip"], want.reshape(2, -1) @ weight.T)


def test_scalar() -> None:
    text = layer("Reduction", "r", ["data"], parameters="reduction_param { axis: 0 }") + layer("MVN", "out", ["r"])
    out = run_layer(text, {"data": draw((2, 3))})["out"]
    assert out.tolist() == [[[[0]]]]


def test_refuse_more_than_four_axes() -> None:
    with pytest.raises(Caffe2TFError, match="MVN takes an input of at most 4 axes, not 5"):
        run_layer(mvn(""), {"data": draw((2, 2, 2, 2, 2))})
