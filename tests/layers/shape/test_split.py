"""Split: a recording of Caffe, values, no emitted layer, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layout import Block, Layout
from caffe2tf.ir.value import Value
from caffe2tf.layers.shape.split import Split
from tests.builders import layer
from tests.layers.emitted import calls
from tests.layers.oracle import assert_matches, check_recorded, recorded, run_layer

TEXT = layer("Split", "split", ["data"], tops=["a", "b", "c"]) + layer("ReLU", "ra", ["a"]) + layer("TanH", "rb", ["b"])


@pytest.mark.parametrize("case", recorded("split"))
def test_recorded(case: str) -> None:
    check_recorded(case)


def test_each_top_is_the_bottom() -> None:
    x = np.random.default_rng(1).standard_normal((2, 3, 4, 5)).astype(np.float32)
    have = run_layer(TEXT, {"data": x})
    for name, want in {"ra": np.maximum(x, 0), "b": x, "c": x, "rb": np.tanh(x), "data": x}.items():
        assert_matches(have[name], want, name)


def test_no_layer_is_emitted() -> None:
    assert sorted(calls(TEXT, {"data": (2, 3, 4, 5)})) == ["Activation", "ReLU"]


def test_layout_is_kept() -> None:
    flat = Layout((0, 1), (Block((3, 20), (1, 0)),))
    value = Value(id="v", blob="v", shape=(2, 60), layout=flat)
    found = Split(count=2).arrange([value], [value, value])
    assert (found.inputs, found.outputs) == ((flat,), (flat, flat))
    assert Split(count=3).infer((2, None)) == ((2, None),) * 3


def test_not_in_place() -> None:
    with pytest.raises(Caffe2TFError, match="Split layer is not computed in place: give top 'data' another name"):
        run_layer(TEXT.replace('"c"', '"data"'), {"data": np.zeros((2, 3))})
