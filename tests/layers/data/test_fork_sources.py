"""Sources of forks and of old presets: which shapes they tell, and what they give where nothing is fed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from tests.builders import input_layer, write_prototxt
from tests.layers.oracle import Array, assert_matches, run_layer

ABS = 'layer { name: "out" type: "AbsVal" bottom: "c" top: "out" }\n'


def indicator(parameters: str, bottom: str = "") -> str:
    read = f'bottom: "{bottom}"' if bottom else ""
    block = f"continuation_indicator_param {{ {parameters} }}"
    return f'layer {{ name: "c" type: "ContinuationIndicator" {read} top: "c" {block} }}\n{ABS}'


def run(tmp_path: Path, text: str, **fed: Array) -> dict[str, Array]:
    net = write_prototxt(tmp_path, text)
    return caffe2tf.run(net, None, fed)


@pytest.mark.parametrize("type_", ["data", "memory_data", "data_blob"])
def test_a_plain_word_is_a_source(tmp_path: Path, type_: str) -> None:
    x = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)
    head = f'layer {{ name: "data" type: \'{type_}\' top: "c"'
    told = f"{head} input_param {{ shape {{ dim: 2 dim: 3 }} }} }}\n{ABS}"
    assert_matches(run(tmp_path, told, c=x)["out"], np.abs(x))
    assert_matches(run(tmp_path, f"{head} other_param {{ a: 1 }} }}\n{ABS}", c=x)["out"], np.abs(x))
    with pytest.raises(Caffe2TFError, match=r'input_shapes={"c": \(N, C, H, W\)}'):
        caffe2tf.infer_shapes(tmp_path / "net.prototxt")


def test_sources_of_2013(tmp_path: Path) -> None:
    x = np.array([[1, -2, 3]], np.float32)
    text = (
        'layers { layer { name: "data" type: "memory_data" datum_dims: { channels: 1 } } top: "c" }\n'
        'layers { layer { name: "out" type: "relu" } bottom: "c" top: "out" }\n'
    )
    assert_matches(run(tmp_path, text, c=x)["out"], np.maximum(x, 0))


def test_where_sequences_begin(tmp_path: Path) -> None:
    want = np.ones((4, 3), np.float32)
    assert_matches(run_layer(indicator("time_step: 4 batch_size: 3 flag: true"), {})["out"], want)
    want[0] = 0
    assert_matches(run_layer(indicator("time_step: 4 batch_size: 3"), {})["out"], want)
    fed = np.arange(12, dtype=np.float32).reshape(4, 3) - 5
    assert_matches(run(tmp_path, indicator("time_step: 4 batch_size: 3"), c=fed)["out"], np.abs(fed))


def test_fields_that_are_read_are_not_reported_as_ignored(tmp_path: Path) -> None:
    net = write_prototxt(tmp_path, indicator("time_step: 4 batch_size: 3"))
    assert caffe2tf.convert(net, None, tmp_path / "out").notes == ()


def test_one_that_reads_is_fed(tmp_path: Path) -> None:
    x = np.ones((2, 3), np.float32)
    fed = np.arange(8, dtype=np.float32).reshape(4, 2)
    data = input_layer("x", (2, 3))
    text = data + indicator("time_step: 4 axis: 1", "x")
    assert_matches(run(tmp_path, text, x=x, c=fed)["out"], fed)
    with pytest.raises(Caffe2TFError, match="no array is given for input 'c'"):
        run(tmp_path, data + indicator("time_step: 4 batch_size: 2", "x"), x=x)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (indicator("batch_size: 3"), "continuation_indicator_param.time_step is required; add it"),
        (indicator("time_step: 4 batch_size: -3"), "batch_size must be one whole number, 0 or more, not -3"),
        (indicator("time_step: 4.5 batch_size: 3"), "time_step must be one whole number, 1 or more, not 4.5"),
        (indicator("time_step: 4"), "state the shape of 'c'; give an array of that name in `inputs`"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"x": np.ones((2, 3))})
