"""Flatten: recordings of Caffe, all axes of each rank, the emitted layers, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.shape.flatten import Flatten
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def flatten_layer(parameters: str = "", top: str = "out") -> str:
    return layer("Flatten", "out", ["data"], [top], f"flatten_param {{ {parameters} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("case", [*recorded("flatten"), "pool_flatten_concat_ip"])
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 2, 5), (3, 2, 5, 4), (2, 3, 1, 4, 5)])
def test_all_axes(shape: tuple[int, ...]) -> None:
    x, rank = draw(*shape), len(shape)
    text, want = "", {}
    for start in range(rank):
        for end in range(start, rank):
            name = f"t{start}{end}"
            written = f"axis: {start - rank * (end % 2)} end_axis: {end - rank * (start % 2)}"
            text += flatten_layer(written).replace('"out"', f'"{name}"')
            want[name] = x.reshape(*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
    have = run_layer(text, {"data": x})
    for name, array in want.items():
        assert_matches(have[name], array, name)


def test_end_axis_just_before_axis_inserts_an_axis() -> None:
    x = draw(3, 2, 5)
    assert_matches(run_layer(flatten_layer("axis: 2 end_axis: 1"), {"data": x})["out"], x.reshape(3, 2, 1, 5))


def test_unknown_extents() -> None:
    assert Flatten(axis=1, end_axis=-1).infer((None, 3, 4)) == ((None, 12),)
    assert Flatten(axis=1, end_axis=2).infer((2, None, 3, 5)) == ((2, None, 5),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (flatten_layer("axis: 4"), "flatten_param.axis: axis 4 is out of range for a blob of 4 axes"),
        (flatten_layer("end_axis: -5"), "flatten_param.end_axis: axis -5 is out of range"),
        (flatten_layer("axis: 3 end_axis: 1"), r"end_axis \(1\) must not be before axis \(3\)"),
        (flatten_layer(top="data"), "not computed in place"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 4, 5)})


def test_image_is_flattened_without_a_transposition() -> None:
    conv = layer("Convolution", "c", ["data"], parameters="convolution_param { num_output: 3 kernel_size: 1 }")
    ip = layer("InnerProduct", "ip", ["out"], parameters="inner_product_param { num_output: 4 }")
    text = conv + flatten_layer().replace('bottom: "data"', 'bottom: "c"')
    assert calls(text + ip, {"data": (2, 3, 4, 5)}) == ["Conv2D", "Flatten", "Dense"]
    assert calls(text, {"data": (2, 3, 4, 5)})[:2] == ["Conv2D", "Flatten"]


def test_batch_is_kept() -> None:
    x = draw(3, 2, 5, 4)
    (have,) = reloaded(built(flatten_layer("end_axis: 2"), {"data": (1, 2, 5, 4)}), [x])
    assert_matches(have, x.reshape(3, 10, 4))
