"""Parameter: a trained blob, in Caffe's order for every layer that reads it."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.oracle import assert_matches, check_recorded, recorded, run_layer


def parameter(*shape: int) -> str:
    dims = " ".join(f"dim: {n}" for n in shape)
    return layer("Parameter", "w", parameters=f"parameter_param {{ shape {{ {dims} }} }}")


@pytest.mark.parametrize("case", recorded("parameter"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 4, 5)])
def test_alone(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    w = rng.normal(0, 2, shape).astype(np.float32)
    assert_matches(run_layer(parameter(*shape), {"data": np.ones((2, 3))}, {"w": [w]})["w"], w)


def test_scale_by_scalar(rng: np.random.Generator) -> None:
    x = rng.normal(0, 2, (2, 3, 4)).astype(np.float32)
    text = parameter() + layer("Scale", "out", ["data", "w"])
    out = run_layer(text, {"data": x}, {"w": [np.float32(-1.5)]})
    assert out["w"].shape == ()
    assert_matches(out["out"], x * -1.5)


def test_product_with_a_convolution(rng: np.random.Generator) -> None:
    text = parameter(2, 5, 3, 4)
    parameters = "convolution_param { num_output: 5 kernel_size: 1 bias_term: false }"
    text += layer("Convolution", "conv", ["data"], parameters=parameters)
    text += layer("Eltwise", "out", ["conv", "w"], parameters="eltwise_param { operation: PROD }")
    x, k, w = (rng.normal(0, 2, s).astype(np.float32) for s in ((2, 3, 3, 4), (5, 3, 1, 1), (2, 5, 3, 4)))
    out = run_layer(text, {"data": x}, {"conv": [k], "w": [w]})
    assert_matches(out["out"], np.einsum("nchw,oc->nohw", x, k[..., 0, 0]) * w)
    assert_matches(out["w"], w)


def test_untrained_blob_is_zero() -> None:
    assert not run_layer(parameter(2, 3), {"data": np.ones((2, 3))})["w"].any()


def test_refuse_empty_blob() -> None:
    with pytest.raises(Caffe2TFError, match=r"every extent of parameter_param.shape must be 1 or more, not \[2, 0\]"):
        run_layer(parameter(2, 0), {"data": np.ones((2, 3))})
