"""``caffe2tf inspect``, ``layers`` and ``upgrade``, which never run a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from caffe2tf.layers import registered
from tests.builders import input_layer, write_caffemodel, write_prototxt
from tests.cli.command import caffe2tf


def test_inspect_prints_a_row_for_each_layer(digits: Path) -> None:
    done = caffe2tf("inspect", digits / "deploy.prototxt", digits / "digits.caffemodel")
    assert done.code == 0, done.err
    heading, *rows, footer = done.out.splitlines()
    assert heading.split() == ["layer", "type", "bottoms", "tops", "shape", "parameters", "multiply-adds"]
    cells = {r.split()[0]: r.split()[1:] for r in rows}
    assert cells["conv1"] == ["Convolution", "data", "conv1", "1x16x16x16", "416", str(f"{16 * 16 * 16 * 25:,}")]
    assert cells["fc4"] == ["InnerProduct", "fc3", "fc4", "1x10", "490", "480"]
    assert cells["relu1"][-2:] == ["-", "-"]
    assert footer.split()[:2] == ["13", "layers"]
    assert footer.split()[2] == "21,138"


def test_json(digits: Path) -> None:
    said = json.loads(caffe2tf("inspect", digits / "deploy.prototxt", "--json").out)
    assert said["name"] == "digits"
    assert said["problems"] == said["weight_problems"] == []
    conv = next(r for r in said["layers"] if r["name"] == "conv2")
    assert conv["type"] == "Convolution"
    assert conv["shapes"] == [[1, 24, 8, 8]]
    assert conv["parameters"] == 24 * 8 * 9 + 24
    assert sum(r["parameters"] for r in said["layers"]) == 21138


def test_an_input_shape(digits: Path) -> None:
    done = caffe2tf("inspect", digits / "deploy.prototxt", "--input-shape", "data=5,1,16,16")
    assert "5x16x16x16" in done.out


def test_all_unmatched_weights_are_reported_together(tmp_path: Path, digits: Path) -> None:
    rng = np.random.default_rng(0)
    other = {"conv1": [rng.normal(size=(16, 2, 5, 5)), rng.normal(size=16)], "extra": [rng.normal(size=3)]}
    weights = write_caffemodel(tmp_path, other)
    done = caffe2tf("inspect", digits / "deploy.prototxt", weights)
    assert done.code == 2
    assert "16x1x5x5" in done.err
    assert "16x2x5x5" in done.err
    assert all(f"'{name}'" in done.err for name in ("conv1", "conv2", "fc3", "fc4", "extra"))
    said = json.loads(caffe2tf("inspect", digits / "deploy.prototxt", weights, "--json").out)
    assert len(said["weight_problems"]) >= 4


def test_shared_parameters_of_different_shapes_are_reported(tmp_path: Path) -> None:
    ip = (
        'layer {{ name: "{0}" type: "InnerProduct" bottom: "d" top: "{0}" param {{ name: "w" }} '
        "inner_product_param {{ num_output: {1} }} }}\n"
    )
    net = write_prototxt(tmp_path, input_layer("d", (2, 3)) + ip.format("a", 4) + ip.format("b", 5))
    done = caffe2tf("inspect", net)
    assert done.code == 2
    assert "net.prototxt:3:1: layer 'b': parameter 'w' is shared with layer 'a'" in done.err
    assert "4x3" in done.err
    assert "5x3" in done.err
    assert "2x5" in done.out  # the table is printed anyway


def test_a_network_that_writes_a_split_blob_in_place(tmp_path: Path) -> None:
    """The graph has nodes that are not layers of the definition."""
    net = write_prototxt(
        tmp_path,
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 2 dim: 3 } } }\n'
        'layer { name: "s" type: "Split" bottom: "d" top: "a" top: "b" }\n'
        'layer { name: "r" type: "ReLU" bottom: "a" top: "a" }\n'
        'layer { name: "t" type: "TanH" bottom: "b" top: "t" }\n',
    )
    done = caffe2tf("inspect", net)
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.out.splitlines()] == ["layer", "d", "s", "r", "t", "4"]


def test_layers_lists_every_type() -> None:
    done = caffe2tf("layers")
    lines = done.out.splitlines()
    assert lines[-1] == f"{len(registered())} layer types"
    assert {line.split()[0] for line in lines[1:-1]} == set(registered())
    assert json.loads(caffe2tf("layers", "--json").out).keys() == registered().keys()


def test_every_layer_type_has_a_summary() -> None:
    assert [name for name, text in json.loads(caffe2tf("layers", "--json").out).items() if len(text) < 8] == []


def test_upgrade(tmp_path: Path, digits: Path) -> None:
    new = tmp_path / "new.prototxt"
    done = caffe2tf("upgrade", digits / "deploy.prototxt", "-o", new)
    assert done.code == 0
    assert done.out == f"{new}: 13 layers\n"
    again = tmp_path / "again.prototxt"
    caffe2tf("upgrade", new, "-o", again)
    assert again.read_text() == new.read_text()
    assert caffe2tf("inspect", new).out == caffe2tf("inspect", digits / "deploy.prototxt").out


@pytest.mark.parametrize("phase", ["TEST", "TRAIN"])
def test_phase_selects_layers(digits: Path, phase: str) -> None:
    shapes = ("--input-shape", "data=2,1,16,16", "--input-shape", "label=2")
    done = caffe2tf("inspect", digits / "train_val.prototxt", "--phase", phase, *shapes)
    assert done.code == 0, done.err
    assert ("Accuracy" in done.out) == (phase == "TEST")
