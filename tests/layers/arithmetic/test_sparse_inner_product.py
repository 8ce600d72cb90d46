"""SparseInnerProduct: the values of an InnerProduct."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.layers.emitted import calls
from tests.layers.oracle import assert_matches, run_layer

TEXT = """
layer { name: "ip" type: "SparseInnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 4 } }
layer { name: "r" type: "ReLU" bottom: "ip" top: "ip" }
"""


def test_values() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, 2, 5)).astype(np.float32) * (rng.random((3, 2, 5)) < 0.3)
    weight, bias = rng.standard_normal((4, 10)), rng.standard_normal(4)
    have = run_layer(TEXT, {"data": x}, {"ip": [weight, bias]})["ip"]
    assert_matches(have, np.maximum(x.reshape(3, 10) @ weight.T + bias, 0))
    assert calls(TEXT, {"data": (3, 2, 5)}) == ["Flatten", "Dense"]


def test_the_rules_are_those_of_inner_product() -> None:
    with pytest.raises(Caffe2TFError, match=r"inner_product_param\.num_output must be 1 or more, not 0"):
        run_layer(TEXT.replace("num_output: 4", ""), {"data": np.zeros((2, 3), np.float32)})
