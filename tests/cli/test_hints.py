"""The same network from Python and from the command line: each message names only what that user can use."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import caffe2tf as package
from caffe2tf import alexnet
from caffe2tf.cli.hints import COMMAND_LINE
from caffe2tf.diagnostics import Hint
from tests.builders import input_layer, write_prototxt
from tests.cli.command import caffe2tf

OPTION = re.compile(r"(?<!\w)--\w|(?<!\w)-o\b|caffe2tf (convert|alexnet)")
PYTHON = re.compile(r"input_shapes|on_unknown|`inputs`|load_plugin|caffe2tf\.\w|=\{")

RELU = 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }\n'
DATA = input_layer("data", (2, 3))
PYTHON_LAYER = (
    'layer { name: "p" type: "Python" bottom: "data" top: "p" python_param { module: "sums" layer: "Row" } }\n'
)
NETWORKS = {
    "no shape": ('layer { name: "data" type: "Input" top: "data" }\n' + RELU, "--input-shape data=N", '{"data": (N'),
    "missing input": (RELU, "--input-shape data=N,C,H,W", 'input_shapes={"data": (N, C, H, W)}'),
    "unknown type": (DATA + RELU.replace("ReLU", "Odd"), "--on-unknown stub", 'on_unknown="stub"'),
    "python layer": (DATA + PYTHON_LAYER, "--plugin my_layers.py", 'caffe2tf.load_plugin("my_layers.py")'),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_what_python_and_the_command_line_say_of_a_network(kind: str, tmp_path: Path) -> None:
    text, option, argument = NETWORKS[kind]
    net = write_prototxt(tmp_path, text)
    with pytest.raises(package.NetworkError) as caught:
        package.convert(net, None, tmp_path / "out")
    for done in (caffe2tf("convert", net, "-o", tmp_path / "out"), caffe2tf("inspect", net)):
        assert done.code == caught.value.exit_code
        assert option in done.err
        assert not PYTHON.search(done.err.replace("caffe2tf: ", ""))
    assert argument in str(caught.value)
    assert not OPTION.search(str(caught.value))


@pytest.mark.parametrize("kind", ["no shape", "missing input"])
def test_a_forward_pass_takes_arrays_and_not_shapes(kind: str, tmp_path: Path) -> None:
    net, fed = write_prototxt(tmp_path, NETWORKS[kind][0]), tmp_path / "in.npz"
    np.savez(fed)
    with pytest.raises(package.NetworkError, match=r"give an array of that name in `inputs`$"):
        package.run(net, None, {})
    done = caffe2tf("run", net, "--input", fed, "-o", tmp_path / "out.npz")
    assert done.err.endswith("give an array of that name in the file of --input\n")
    assert "--input-shape" not in done.err


def test_a_note_on_a_stub(tmp_path: Path) -> None:
    net = write_prototxt(tmp_path, NETWORKS["unknown type"][0])
    done = caffe2tf("convert", net, "-o", tmp_path / "a", "--on-unknown", "stub")
    assert "note: " in done.err
    assert "--input-shape TOP=N,C,H,W" in done.err
    assert not PYTHON.search(done.err)
    as_json = caffe2tf("convert", net, "-o", tmp_path / "a", "--on-unknown", "stub", "--json")
    (told,) = json.loads(as_json.out)["notes"]
    assert f"note: {told}\n" in done.err
    (note,) = package.convert(net, None, tmp_path / "b", on_unknown="stub").notes
    assert 'input_shapes={"TOP": (N, C, H, W)}' in str(note)
    assert not OPTION.search(str(note))


def test_inspect_as_json(tmp_path: Path) -> None:
    net = write_prototxt(tmp_path, RELU + RELU.replace("ReLU", "Odd").replace('"r"', '"odd"'))
    said = json.loads(caffe2tf("inspect", net, "--json").out)
    assert said["problems"] == [
        {
            "severity": "error",
            "layer": "r",
            "where": f"{net}:1:1",
            "message": "bottom 'data' is not the top of any earlier layer; if it is an input of the network, give its "
            "shape: --input-shape data=N,C,H,W",
        },
        {
            "severity": "unsupported",
            "layer": "odd",
            "where": f"{net}:2:1",
            "message": "layer type 'Odd' is not supported",
        },
    ]
    assert [hint for hint in said["hints"] if "--on-unknown stub" in hint] == said["hints"]


def test_weights_for_caffe() -> None:
    with pytest.raises(package.UsageError, match=r"caffe2tf\.alexnet\.regenerate") as caught:
        alexnet.build("bvlc_alexnet.caffemodel")
    assert "caffe2tf alexnet --from bvlc_alexnet.caffemodel" in caught.value.text(COMMAND_LINE)


@pytest.mark.parametrize("hint", Hint)
def test_the_command_line_has_a_wording_for_every_hint(hint: Hint) -> None:
    text = COMMAND_LINE[hint](["x"])
    assert text
    assert not PYTHON.search(text)
