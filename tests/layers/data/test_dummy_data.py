"""DummyData: the shapes and the values of its tops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.data.dummy_data import DummyData
from caffe2tf.parse import read_network
from tests.builders import write_prototxt

OLD = "num: 2 channels: 3 height: 4 width: 5"


def write(folder: Path, parameters: str, tops: str = "a b") -> Path:
    listed = " ".join(f'top: "{t}"' for t in tops.split())
    return write_prototxt(
        folder, f'layer {{ name: "in" type: "DummyData" {listed} dummy_data_param {{ {parameters} }} }}\n'
    )


@pytest.mark.parametrize(
    ("parameters", "want"),
    [
        ("shape { dim: 2 dim: 3 }", {"a": (2, 3), "b": (2, 3)}),
        ("shape { dim: 2 dim: 3 } shape { dim: 4 }", {"a": (2, 3), "b": (4,)}),
        (OLD, {"a": (2, 3, 4, 5), "b": (2, 3, 4, 5)}),
        (OLD + " channels: 6 width: 7", {"a": (2, 3, 4, 5), "b": (2, 6, 4, 7)}),
    ],
)
def test_shapes(parameters: str, want: dict[str, tuple[int, ...]], tmp_path: Path) -> None:
    assert caffe2tf.infer_shapes(write(tmp_path, parameters)) == want


def test_values(tmp_path: Path) -> None:
    def default(fillers: str, top: int) -> np.ndarray:
        (layer,) = read_network(write(tmp_path, "shape { dim: 2 dim: 3 } " + fillers)).layers
        return DummyData.read(layer).default(top, (4, 3))

    two = 'data_filler { value: -2 } data_filler { type: "gaussian" std: 3 }'
    assert np.array_equal(default("", 1), np.zeros((4, 3)))
    assert np.array_equal(default("data_filler { value: 1.5 }", 1), np.full((4, 3), 1.5))
    assert np.array_equal(default(two, 0), np.full((4, 3), -2))
    assert len(np.unique(default(two, 1))) == 12
    assert np.array_equal(default(two, 1), default(two, 1))
    assert default(two, 1).dtype == np.float32
    one = 'data_filler { type: "uniform" min: -1 }'
    assert not np.array_equal(default(one, 0), default(one, 1))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("", "dummy_data_param.shape must be given once, or once for each of the 3 tops; 0 are given"),
        ("shape { dim: 1 } shape { dim: 2 }", "shape must be given once, .* 2 are given"),
        (OLD + " shape { dim: 1 }", "gives both `shape` and num"),
        ("channels: 3 height: 4 width: 5", "dummy_data_param.num must be given once"),
        (OLD + " height: 6", "dummy_data_param.height must be given once, .* 2 are given"),
        ("shape { dim: 1 } data_filler { } data_filler { }", "data_filler must be absent, .* 2 are given"),
        ("shape { dim: 3 dim: 0 }", "must be 1 or more, not 3x0"),
        ('shape { dim: 3 } data_filler { type: "noise" }', "unknown filler type 'noise'"),
    ],
)
def test_networks_that_caffe_refuses(parameters: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        caffe2tf.infer_shapes(write(tmp_path, parameters, "a b c"))
