"""Writing definitions as modern text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from caffe2tf.errors import OutputError
from caffe2tf.parse import NetworkDefinition, format_prototxt, read_network, write_prototxt

OLD = """name: "n\u00e9t" # gone
input: "in" input_dim: [2, 3, 5, 7]
state { level: 2 mood: GOOD }
force_backward: true
extra { a: "x y" b: [1, -2] }
layers { name: "c" type: CONVOLUTION bottom: "in" top: "c" blobs_lr: 0.1
  convolution_param { num_output: 3 kernel_size: [3, 5] engine: FAST weight_filler { type: "msra" why: 'so' } } }
layers { name: "q\\"\\n" type: MINE param: "a" param: "b" mine_param < k: 0x10 > }
"""
NEW = """name: "n\u00e9t"
force_backward: true
state {
  level: 2
  mood: GOOD
}
extra {
  a: "x y"
  b: 1
  b: -2
}
layer {
  name: "input"
  type: "Input"
  top: "in"
  input_param {
    shape {
      dim: 2
      dim: 3
      dim: 5
      dim: 7
    }
  }
}
layer {
  name: "c"
  type: "Convolution"
  bottom: "in"
  top: "c"
  param {
    lr_mult: 0.1
  }
  convolution_param {
    num_output: 3
    kernel_size: 3
    kernel_size: 5
    weight_filler {
      type: "msra"
      why: 'so'
    }
    engine: FAST
  }
}
layer {
  name: "q\\"\\n"
  type: "Mine"
  param {
    name: "a"
  }
  param {
    name: "b"
  }
  mine_param {
    k: 0x10
  }
}
"""


def content(definition: NetworkDefinition) -> list[object]:
    layers = [(x.message, sorted((u.path, u.value) for u in x.unknown)) for x in definition.layers]
    return [definition.header, definition.state, layers, [(u.path, u.value) for u in definition.unknown]]


def test_writes_modern_text_and_loses_nothing(tmp_path: Path) -> None:
    old, new = tmp_path / "old.prototxt", tmp_path / "new.prototxt"
    old.write_text(OLD, encoding="utf-8")
    definition = read_network(old)
    write_prototxt(definition, new)
    assert new.read_text(encoding="utf-8") == NEW
    again = read_network(new)
    assert content(again) == content(definition)
    assert again.notes == ()
    assert format_prototxt(again) == NEW


def test_unknown_members_of_repeated_blocks_stay_in_their_block(tmp_path: Path) -> None:
    path = tmp_path / "a.prototxt"
    path.write_text("layer { param { x: 1 } param { lr_mult: 1e-05 } param { x: 3 } [an.extension]: 4 }")
    text = format_prototxt(read_network(path))
    assert text == (
        "layer {\n  param {\n    x: 1\n  }\n  param {\n    lr_mult: 1e-05\n  }\n  param {\n    x: 3\n  }\n"
        "  [an.extension]: 4\n}\n"
    )


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "a.prototxt"
    source.write_text("layer { name: 'x' }")
    definition = read_network(source)
    folder = tmp_path / "folder"
    folder.mkdir()
    for target, why in (
        (folder, "is a directory"),
        (tmp_path / "none" / "b.prototxt", "does not exist; create it first"),
        (tmp_path / "b\0.prototxt", "a null character"),
    ):
        with pytest.raises(OutputError, match=why):
            write_prototxt(definition, target)
    assert sorted(os.listdir(tmp_path)) == ["a.prototxt", "folder"]  # noqa: PTH208 - names are what is compared


def test_round_trip_of_real_definitions(tmp_path: Path, definitions: list[Path]) -> None:
    networks = [path for path in definitions if path.name != "solver.prototxt"]
    target = tmp_path / "new.prototxt"
    for path in networks:
        definition = read_network(path)
        write_prototxt(definition, target)
        assert content(read_network(target)) == content(definition), path
    assert len(networks) > 100
