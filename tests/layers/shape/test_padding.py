"""Padding of DeepLab: recordings of Caffe, cropping, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from tests.builders import layer, write_prototxt
from tests.layers.emitted import calls
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

DEEPLAB = """name: "deeplab_v1_tail"
input: "data"
input_dim: 2 input_dim: 2 input_dim: 5 input_dim: 6
layers {
  name: "fc6" type: CONVOLUTION bottom: "data" top: "fc6" strict_dim: false
  convolution_param { num_output: 3 pad: 2 hole: 2 kernel_size: 3 weight_filler { type: "xavier" } }
}
layers { name: "up" type: INTERP bottom: "fc6" top: "up" interp_param { zoom_factor: 4 } }
layers { name: "crop" type: PADDING bottom: "up" top: "crop" padding_param { pad_beg: -1 pad_end: -2 } }
"""


def padding(parameters: str) -> str:
    return layer("Padding", "out", ["data"], parameters=f"padding_param {{ {parameters} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng(5).normal(-1, 3, shape).astype(np.float32)


@pytest.mark.parametrize("case", recorded("fork2_padding"))
def test_recorded(case: str) -> None:
    check_recorded(case)


def test_field_deeplab_padding(tmp_path: Path) -> None:
    """A network of DeepLab v1 with negative padding; `strict_dim` is a note."""
    file = write_prototxt(tmp_path, DEEPLAB)
    blobs = caffe2tf.run(file, None, {"data": draw(2, 2, 5, 6)})
    assert blobs["up"].shape == (2, 3, 17, 21)
    assert_matches(blobs["crop"], blobs["up"][:, :, 1:-2, 1:-2])
    (note,) = (note for note in load_graph(read_network(file)).notes if "strict_dim" in note.message)
    assert "is ignored" in note.message


@pytest.mark.parametrize(("before", "after"), [(-1, -1), (0, -2), (-3, 0), (2, 2), (0, 0)])
def test_numbers(before: int, after: int) -> None:
    x = draw(2, 3, 5, 7)
    have = run_layer(padding(f"pad_beg: {before} pad_end: {after}"), {"data": x})["out"]
    pairs = ((0, 0), (0, 0), (max(before, 0), max(after, 0)), (max(before, 0), max(after, 0)))
    want = np.pad(x, pairs)[:, :, max(-before, 0) : 5 + after if after < 0 else None]
    want = want[..., max(-before, 0) : 7 + after if after < 0 else None]
    assert_matches(have, want)


def test_emitted_layers() -> None:
    shapes = {"data": (2, 5, 4, 6)}
    assert "ZeroPadding2D" in calls(padding("pad_end: 1"), shapes)
    assert "Cropping2D" in calls(padding("pad_beg: -1 pad_end: -1"), shapes)
    assert calls(padding(""), shapes) == []


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ("pad_beg: 1 pad_end: -1", "must both be 0 or more, or both be 0 or less, not 1 and -1"),
        ("pad_beg: -2 pad_end: -2", "pad_beg (-2) and pad_end (-2) leave nothing of 4x5"),
        ("pad_beg: 1.5", "1.5 is not an integer"),
        ("pad: 1", "'padding_param.pad' is not known"),
    ],
)
def test_errors(parameters: str, wanted: str) -> None:
    with pytest.raises(Caffe2TFError) as caught:
        run_layer(padding(parameters), {"data": np.ones((2, 3, 4, 5))})
    assert wanted in str(caught.value)
