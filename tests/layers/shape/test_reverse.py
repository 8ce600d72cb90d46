"""Reverse: each axis of each rank, several axes, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.shape.reverse import Reverse
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer


def reverse_layer(parameters: str = "", top: str = "out") -> str:
    return layer("Reverse", "out", ["data"], [top], f"reverse_param {{ {parameters} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng([len(shape), *shape]).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 2, 5), (3, 2, 5, 4)])
def test_each_axis(shape: tuple[int, ...]) -> None:
    x, rank = draw(*shape), len(shape)
    text = "".join(reverse_layer(f"axis: {a}").replace('"out"', f'"t{a}"') for a in range(-rank, rank))
    have = run_layer(text, {"data": x})
    for a in range(-rank, rank):
        assert_matches(have[f"t{a}"], np.flip(x, a), f"axis {a}")


def test_default_axis_and_several_axes() -> None:
    x = draw(3, 2, 5, 4)
    assert_matches(run_layer(reverse_layer(), {"data": x})["out"], x[::-1])
    assert_matches(run_layer(reverse_layer().replace("reverse_param {  }", ""), {"data": x})["out"], x[::-1])
    assert_matches(run_layer(reverse_layer("axis: 3 axis: 1"), {"data": x})["out"], x[:, ::-1, :, ::-1])
    assert "reversed along axis 0" in Reverse().remarks()[0]
    assert Reverse(axis=(0,)).remarks() == ()


def test_flattened_blobs_are_reversed_in_caffes_order() -> None:
    flatten = layer("Flatten", "f", ["image"], tops=["data"])
    x = draw(2, 3, 4, 5)
    assert_matches(run_layer(flatten + reverse_layer("axis: 1"), {"image": x})["out"], x.reshape(2, -1)[:, ::-1])
    assert_matches(run_layer(flatten + reverse_layer("axis: 0"), {"image": x})["out"], x.reshape(2, -1)[::-1])


def test_batch_is_kept_unless_reversed() -> None:
    x = draw(3, 2, 5)
    (have,) = reloaded(built(reverse_layer("axis: -2"), {"data": (2, 2, 5)}), [x])
    assert_matches(have, x[:, ::-1])
    assert calls(reverse_layer("axis: 2"), {"data": (2, 2, 5, 4)}) == ["Reverse"]
    assert Reverse(axis=(1,)).trace_batch([True], [(2, 3)], [(2, 3)]) is Batch.KEPT
    assert Reverse(axis=(1, -2)).trace_batch([True], [(2, 3)], [(2, 3)]) is Batch.FIXED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (reverse_layer("axis: 3"), "reverse_param.axis: axis 3 is out of range for a blob of 3 axes"),
        (reverse_layer("axis: 1.5"), "reverse_param.axis must be whole numbers, not 1.5"),
        (reverse_layer("axes: 1"), "field 'reverse_param.axes' is not known"),
        (reverse_layer(top="data"), "not computed in place"),
        (reverse_layer().replace('bottom: "data"', 'bottom: "data" bottom: "cont"'), "takes 1 bottoms?, 2 given"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 4), "cont": draw(2, 3)})
