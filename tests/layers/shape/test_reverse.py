"""Reverse: every axis, what is emitted, every error."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.shape.reverse import Reverse
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer


def layer(parameters: str = "", top: str = "out") -> str:
    return f'layer {{ name: "out" type: "Reverse" bottom: "data" top: "{top}" reverse_param {{ {parameters} }} }}'


def draw(*shape: int) -> Array:
    return np.random.default_rng([len(shape), *shape]).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 2, 5), (3, 2, 5, 4)])
def test_each_axis(shape: tuple[int, ...]) -> None:
    x, rank = draw(*shape), len(shape)
    text = "".join(layer(f"axis: {a}").replace('"out"', f'"t{a}"') for a in range(-rank, rank))
    have = run_layer(text, {"data": x})
    for a in range(-rank, rank):
        assert_matches(have[f"t{a}"], np.flip(x, a), f"axis {a}")


def test_no_axis_is_time_and_several_are_all_of_them() -> None:
    x = draw(3, 2, 5, 4)
    assert_matches(run_layer(layer(), {"data": x})["out"], x[::-1])
    assert_matches(run_layer(layer().replace("reverse_param {  }", ""), {"data": x})["out"], x[::-1])
    assert_matches(run_layer(layer("axis: 3 axis: 1"), {"data": x})["out"], x[:, ::-1, :, ::-1])
    assert "reversed along axis 0" in Reverse().remarks()[0]
    assert Reverse(axis=(0,)).remarks() == ()


def test_flattened_blobs_are_put_in_order_first() -> None:
    flatten = 'layer { name: "f" type: "Flatten" bottom: "image" top: "data" }'
    x = draw(2, 3, 4, 5)
    assert_matches(run_layer(flatten + layer("axis: 1"), {"image": x})["out"], x.reshape(2, -1)[:, ::-1])
    assert_matches(run_layer(flatten + layer("axis: 0"), {"image": x})["out"], x.reshape(2, -1)[::-1])


def test_the_batch_stays_free_unless_it_is_reversed() -> None:
    x = draw(3, 2, 5)
    (have,) = reloaded(built(layer("axis: -2"), {"data": (2, 2, 5)}), [x])
    assert_matches(have, x[:, ::-1])
    assert calls(layer("axis: 2"), {"data": (2, 2, 5, 4)}) == ["Reverse"]
    assert Reverse(axis=(1,)).trace_batch([True], [(2, 3)], [(2, 3)]) is Batch.KEPT
    assert Reverse(axis=(1, -2)).trace_batch([True], [(2, 3)], [(2, 3)]) is Batch.FIXED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer("axis: 3"), "reverse_param.axis: axis 3 is out of range for a blob of 3 axes"),
        (layer("axis: 1.5"), "reverse_param.axis must be whole numbers, not 1.5"),
        (layer("axes: 1"), "field 'reverse_param.axes' is not known"),
        (layer(top="data"), "not computed in place"),
        (layer().replace('bottom: "data"', 'bottom: "data" bottom: "cont"'), "takes 1 bottoms?, 2 given"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 4), "cont": draw(2, 3)})
