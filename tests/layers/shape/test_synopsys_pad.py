"""Synopsys' Python layers that pad: each side, all axes, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.emitted import calls
from tests.layers.oracle import assert_matches, run_layer

X = np.random.default_rng(5).normal(0, 1, (2, 3, 4, 5)).astype(np.float32)
SIDES = '{"pad_t": 1, "pad_b": 2, "pad_l": 0, "pad_r": 3, "pad_mode": "constant"}'
PAIRS = "[[0, 0], [1, 0], [2, 0], [0, 3]]"
V2 = "{'paddings': [(0, 1), (0, 0), (0, 2), (0, 0)], 'constant_values': -1.5}"


def python_layer(cls: str, param_str: str, top: str = "out") -> str:
    module, name = cls.split(".")
    text = param_str.replace('"', '\\"')
    parameters = f'python_param {{ module: "{module}" layer: "{name}" param_str: "{text}" }}'
    return layer("Python", "out", ["data"], [top], parameters)


def test_sides_of_an_image() -> None:
    want = np.pad(X, ((0, 0), (0, 0), (1, 2), (0, 3)))
    assert_matches(run_layer(python_layer("pad.PadTensor", SIDES), {"data": X})["out"], want)
    assert calls(python_layer("pad.PadTensor", SIDES), {"data": X.shape}) == ["ZeroPadding2D"]
    words = SIDES.replace("1", "'1'").replace('"', "'")
    assert_matches(run_layer(python_layer("pad.PadTensor", words), {"data": X})["out"], want)


def test_all_axes() -> None:
    want = np.pad(X, ((0, 0), (1, 0), (2, 0), (0, 3)))
    assert_matches(run_layer(python_layer("pads.Pad", PAIRS), {"data": X})["out"], want)
    assert_matches(run_layer(python_layer("pads.Pad", f"({PAIRS[1:-1]})"), {"data": X})["out"], want)


def test_constant() -> None:
    want = np.pad(X, ((0, 1), (0, 0), (0, 2), (0, 0)), constant_values=-1.5)
    assert_matches(run_layer(python_layer("pads.PadV2", V2), {"data": X})["out"], want)


@pytest.mark.parametrize(
    ("cls", "param_str", "message"),
    [
        ("pad.PadTensor", SIDES.replace("pad_r", "right"), "param_str must contain pad_r"),
        ("pad.PadTensor", SIDES.replace("constant", "edge"), "pad_mode 'edge' is not supported, only 'constant' is"),
        ("pad.PadTensor", SIDES.replace("2", "-2"), "pad_b must be a whole number, 0 or more, not -2"),
        ("pad.PadTensor", SIDES.replace("2", "2.5"), "pad_b must be a whole number, 0 or more, not 2.5"),
        ("pads.Pad", "nothing", "param_str must be a list of two numbers for each axis"),
        ("pads.Pad", "[[1, 2], [3]]", "param_str must be a list of two numbers for each axis"),
        ("pads.Pad", "[[1, 2], [3, 4]]", "twice for each of the 4 axes"),
        ("pads.PadV2", V2.replace("-1.5", "[1]"), r"constant_values in python_param.param_str must be one number"),
        ("pads.PadV2", "constant_values: 3", "paddings in python_param.param_str must be a list of two numbers"),
    ],
)
def test_errors(cls: str, param_str: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(python_layer(cls, param_str), {"data": X})


def test_not_in_place() -> None:
    with pytest.raises(Caffe2TFError, match="not computed in place"):
        run_layer(python_layer("pad.PadTensor", SIDES, "data"), {"data": X})
