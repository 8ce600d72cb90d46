"""SparseInnerProduct: the values and errors of an InnerProduct."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.emitted import calls
from tests.layers.oracle import assert_matches, run_layer

TEXT = layer("SparseInnerProduct", "ip", ["data"], parameters="inner_product_param { num_output: 4 }")
TEXT += layer("ReLU", "r", ["ip"], ["ip"])


def test_values() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, 2, 5)).astype(np.float32) * (rng.random((3, 2, 5)) < 0.3)
    weight, bias = rng.standard_normal((4, 10)), rng.standard_normal(4)
    have = run_layer(TEXT, {"data": x}, {"ip": [weight, bias]})["ip"]
    assert_matches(have, np.maximum(x.reshape(3, 10) @ weight.T + bias, 0))
    assert calls(TEXT, {"data": (3, 2, 5)}) == ["Flatten", "Dense"]


def test_errors() -> None:
    with pytest.raises(Caffe2TFError, match=r"inner_product_param\.num_output is required"):
        run_layer(TEXT.replace("num_output: 4", ""), {"data": np.zeros((2, 3), np.float32)})
