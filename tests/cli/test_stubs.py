"""Stubs for unknown layer types: the rest of the network is converted, and the user's edits are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import caffe2tf as package
from caffe2tf.errors import OutputError, UnsupportedError
from tests.builders import write_caffemodel, write_prototxt
from tests.cli.command import caffe2tf
from tests.layers.oracle import assert_matches

NET = """name: "mixed"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 1 } }
layer { name: "a/b" type: "Blend" bottom: "conv" bottom: "data" top: "mix" top: "rest"
  blend_param { rate: 0.25 mode: SOFT mode: HARD note: "x \\\"\\\"\\\" y" inner { n: -3 } } }
layer { name: "relu" type: "ReLU" bottom: "mix" top: "relu" }
"""
Files = tuple[Path, Path, dict[str, list[np.ndarray[Any, Any]]]]
FILLED = """\
        import tensorflow as tf

        conv, data = inputs
        mixed = tf.einsum("ij,bjhw->bihw", self.blob0, data) + 0.25 * conv
        return [mixed, mixed[:, :, 0, 0]]
"""


@pytest.fixture
def files(tmp_path: Path, rng: np.random.Generator) -> Files:
    blobs = {
        "conv": [rng.standard_normal((6, 3, 1, 3)), rng.standard_normal(6)],
        "a/b": [rng.standard_normal((6, 3))],
    }
    return write_prototxt(tmp_path, NET), write_caffemodel(tmp_path, blobs), blobs


SHAPES = {"mix": (2, 6, 4, 5), "rest": (2, 6)}


def convert(
    net: Path, weights: Path | None, out: Path, shapes: Mapping[str, Sequence[int]] = SHAPES
) -> package.Conversion:
    return package.convert(net, weights, out, on_unknown="stub", input_shapes=shapes)


def test_without_stubs_the_error_suggests_them(files: Files, tmp_path: Path) -> None:
    net, weights, _ = files
    with pytest.raises(UnsupportedError, match=r"'Blend' is not supported[\s\S]*load_plugin[\s\S]*on_unknown=\"stub\""):
        package.convert(net, weights, tmp_path / "out")


def test_an_empty_stub_builds_and_raises_when_it_runs(files: Files, tmp_path: Path) -> None:
    net, weights, blobs = files
    done = convert(net, weights, tmp_path / "out")
    assert done.stubs == tmp_path / "out" / "mixed_stubs.py"
    assert done.stubs in done.sha256
    assert any("'Blend' is a stub" in str(note) and "net.prototxt:5:1" in str(note) for note in done.notes)
    text = done.stubs.read_text()
    for expected in ("rate: 0.25", "mode: HARD", "n: -3", "'a/b', line 5", "'conv' (None, 6, 4, 5)", "blob0: (6, 3)"):
        assert expected in text
    model = done.build()
    np.testing.assert_array_equal(model.get_layer("a-b").blob0, blobs["a/b"][0].astype("f4"))
    assert done.outputs == {"rest": (2, 6), "relu": (2, 6, 4, 5)}
    assert model.get_layer("relu").output.shape == (None, 6, 4, 5)
    with pytest.raises(NotImplementedError, match="Blend is a stub"):
        model({"data": np.zeros((2, 4, 5, 3), "f4")})


def test_a_filled_in_stub_runs_and_is_kept(files: Files, tmp_path: Path, rng: np.random.Generator) -> None:
    net, weights, blobs = files
    done = convert(net, weights, tmp_path / "out")
    assert done.stubs is not None
    lines = done.stubs.read_text().splitlines(keepends=True)
    raising = next(i for i, line in enumerate(lines) if "raise NotImplementedError" in line)
    filled = "".join([*lines[:raising], FILLED, *lines[raising + 1 :]])
    done.stubs.write_text(filled)
    again = convert(net, weights, tmp_path / "out")
    assert done.stubs.read_text() == filled
    data = rng.standard_normal((3, 3, 4, 5)).astype("f4")
    out = again.build().predict({"data": data.transpose(0, 2, 3, 1)}, verbose=0)
    kernel, bias = blobs["conv"]
    padded = np.pad(data, ((0, 0), (0, 0), (0, 0), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (1, 3), axis=(2, 3))
    conv = np.einsum("bchwij,ocij->bohw", windows, kernel) + bias[:, None, None]
    want = np.einsum("ij,bjhw->bihw", blobs["a/b"][0], data) + 0.25 * conv
    assert_matches(out["relu"], np.maximum(want, 0), "relu")
    assert_matches(out["rest"], want[:, :, 0, 0], "rest")


def test_stubs_are_reproducible(files: Files, tmp_path: Path) -> None:
    net, weights, _ = files
    one, two = (convert(net, weights, tmp_path / name) for name in ("one", "two"))
    assert [*one.sha256.values()] == [*two.sha256.values()]


def test_a_foreign_file_is_not_overwritten(files: Files, tmp_path: Path) -> None:
    net, weights, _ = files
    (tmp_path / "mixed_stubs.py").write_text("mine = 1\n")
    with pytest.raises(OutputError, match=r"mixed_stubs.py: this file holds no stubs"):
        convert(net, weights, tmp_path)
    assert (tmp_path / "mixed_stubs.py").read_text() == "mine = 1\n"
    assert not (tmp_path / "mixed.py").exists()


def test_a_top_without_a_shape_takes_the_shape_of_its_bottom(tmp_path: Path) -> None:
    net = write_prototxt(tmp_path, NET.replace('type: "ReLU"', 'type: "class"'))
    done = convert(net, None, tmp_path / "out", shapes={"rest": (7,)})
    assert done.outputs == {"rest": (7,), "relu": (2, 6, 4, 5)}
    assert sum("taken to have the shape of its bottom" in str(note) for note in done.notes) == 2
    assert "class Layer_class_" in (tmp_path / "out" / "mixed_stubs.py").read_text()
    assert isinstance(done.build(), keras.Model)


def test_an_unknown_layer_without_bottoms_becomes_an_input(tmp_path: Path) -> None:
    net = write_prototxt(
        tmp_path,
        'layer { name: "d" type: "TapeReader" top: "x" tape_param { speed: 3 } }\n'
        'layer { name: "r" type: "ReLU" bottom: "x" top: "y" }\n',
    )
    done = convert(net, None, tmp_path / "out", shapes={"x": (2, 3)})
    assert (done.inputs, done.stubs) == ({"x": (2, 3)}, None)


def test_command_line(files: Files, tmp_path: Path) -> None:
    net, weights, _ = files
    shapes = ["--input-shape", "mix=2,6,4,5", "--input-shape", "rest=2,6"]
    done = caffe2tf("convert", net, weights, "-o", tmp_path / "out", "--on-unknown", "stub", "--json", *shapes)
    assert done.code == 0, done.err
    assert json.loads(done.out)["stubs"] == str(tmp_path / "out" / "mixed_stubs.py")
    wrong = caffe2tf("convert", net, weights, "-o", tmp_path / "out", "--on-unknown", "skip")
    assert wrong.code == 2
    assert "choose one of refuse, stub" in wrong.err


def test_inspect_suggests_plugins_and_stubs_once(files: Files) -> None:
    done = caffe2tf("inspect", files[0])
    assert done.code == 3
    assert "--plugin my_layers.py" in done.err
    assert "convert with --on-unknown stub" in done.err
    assert "blend_param" not in done.err
