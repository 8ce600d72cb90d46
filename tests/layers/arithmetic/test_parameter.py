"""Parameter: a trained blob as a value, in Caffe's order wherever it is read."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.layers.oracle import assert_matches, check_recorded, recorded, run_layer


def layer(*shape: int) -> str:
    dims = " ".join(f"dim: {n}" for n in shape)
    return f'layer {{ name: "w" type: "Parameter" top: "w" parameter_param {{ shape {{ {dims} }} }} }}\n'


@pytest.mark.parametrize("case", recorded("parameter"))
def test_what_caffe_computed(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 4, 5)])
def test_alone(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    w = rng.normal(0, 2, shape).astype(np.float32)
    assert_matches(run_layer(layer(*shape), {"data": np.ones((2, 3))}, {"w": [w]})["w"], w)


def test_a_single_number_scales(rng: np.random.Generator) -> None:
    x = rng.normal(0, 2, (2, 3, 4)).astype(np.float32)
    text = layer() + 'layer { name: "out" type: "Scale" bottom: "data" bottom: "w" top: "out" }'
    out = run_layer(text, {"data": x}, {"w": [np.float32(-1.5)]})
    assert out["w"].shape == ()
    assert_matches(out["out"], x * -1.5)


def test_beside_a_convolution(rng: np.random.Generator) -> None:
    text = layer(2, 5, 3, 4)
    text += """
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
            convolution_param { num_output: 5 kernel_size: 1 bias_term: false } }
    layer { name: "out" type: "Eltwise" bottom: "conv" bottom: "w" top: "out" eltwise_param { operation: PROD } }
    """
    x, k, w = (rng.normal(0, 2, s).astype(np.float32) for s in ((2, 3, 3, 4), (5, 3, 1, 1), (2, 5, 3, 4)))
    out = run_layer(text, {"data": x}, {"conv": [k], "w": [w]})
    assert_matches(out["out"], np.einsum("nchw,oc->nohw", x, k[..., 0, 0]) * w)
    assert_matches(out["w"], w)


def test_untrained_it_is_zero() -> None:
    assert not run_layer(layer(2, 3), {"data": np.ones((2, 3))})["w"].any()


def test_empty() -> None:
    with pytest.raises(Caffe2TFError, match=r"every extent of parameter_param.shape must be 1 or more, not \[2, 0\]"):
        run_layer(layer(2, 0), {"data": np.ones((2, 3))})
