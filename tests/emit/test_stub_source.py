"""The file of stubs: one class for each unknown type, whatever the network's names and parameters hold."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2tf.emit import Plan
from caffe2tf.emit.stub_source import has_stubs, is_stubs, render_stubs, stubs_module
from caffe2tf.load import load_graph, open_trained
from caffe2tf.parse import read_network
from caffe2tf.pipeline import plan_conversion
from tests.builders import caffemodel, input_layers

INPUT = input_layers({"data": (2, 3, 4, 5)})
BLEND = 'layer {{ name: "{0}" type: "Blend" bottom: "data" bottom: "{1}" top: "{0}" blend_param {{ rate: {2} }} }}\n'
SPLICE = 'layer { name: "cut" type: "Splice" bottom: "data" top: "left" top: "right" }\n'


def plan(
    folder: Path,
    text: str,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    blobs: Mapping[str, Sequence[tuple[int, ...]]] | None = None,
) -> Plan:
    file = folder / "net.prototxt"
    file.write_text(text, encoding="utf-8")
    weights = None
    if blobs is not None:
        weights = folder / "net.caffemodel"
        weights.write_bytes(caffemodel({name: [np.ones(s) for s in each] for name, each in blobs.items()}))
    definition = read_network(file)
    with open_trained(definition, weights) as source:
        graph = load_graph(definition, source, input_shapes=shapes, stub_unknown=True)
        return plan_conversion(graph, definition)


def classes(made: Plan) -> dict[str, ast.ClassDef]:
    assert made.stubs_source is not None
    return {n.name: n for n in ast.parse(made.stubs_source).body if isinstance(n, ast.ClassDef)}


def constant(found: ast.ClassDef, name: str) -> Any:  # noqa: ANN401 - what a class says of shapes
    (value,) = (n.value for n in found.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == name)
    return ast.literal_eval(value)


def signature(found: ast.ClassDef) -> str:
    (call,) = (n for n in found.body if isinstance(n, ast.FunctionDef) and n.name == "call")
    return f"{ast.unparse(call.args)} -> {ast.unparse(call.returns or ast.Constant(None))}"


def test_a_network_without_stubs_has_no_file(tmp_path: Path) -> None:
    made = plan(tmp_path, INPUT + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }\n')
    assert made.stubs_source is None
    assert render_stubs(made.program) is None
    assert not has_stubs(made.program)
    assert "stubs" not in made.module_source


def test_stubs_of_one_type_share_a_class_and_list_their_layers(tmp_path: Path) -> None:
    text = INPUT + BLEND.format("one", "data", 0.25) + BLEND.format("two", "one", -3) + SPLICE
    made = plan(tmp_path, text, {"two": (2, 7), "left": (2, 1, 4, 5)}, {"two": [(7, 3), (7,)]})
    found = classes(made)
    assert list(found) == ["Blend", "Splice"]
    assert constant(found["Blend"], "OUTPUTS") == {"one": ((None, 3, 4, 5),), "two": ((None, 7),)}
    assert constant(found["Blend"], "BLOBS") == {"one": (), "two": ((7, 3), (7,))}
    assert constant(found["Splice"], "OUTPUTS") == {"cut": ((None, 1, 4, 5), (None, 3, 4, 5))}
    assert signature(found["Blend"]) == "self, inputs: list[tf.Tensor] -> tf.Tensor"
    assert signature(found["Splice"]) == "self, x: tf.Tensor -> list[tf.Tensor]"
    doc = ast.get_docstring(found["Blend"]) or ""
    for said in ("Layer 'one', line 2:", "rate: 0.25", "Layer 'two', line 3:", "rate: -3", "trained blob0: (7, 3)"):
        assert said in doc
    assert f"import {stubs_module(made.module_name)} as stubs" in made.module_source


def test_a_network_of_one_batch_alone_says_so(tmp_path: Path) -> None:
    mix = 'layer { name: "r" type: "Reshape" bottom: "mix" top: "r" reshape_param { shape { dim: 3 dim: -1 } } }\n'
    made = plan(tmp_path, INPUT + BLEND.format("mix", "data", 1) + mix)
    assert constant(classes(made)["Blend"], "OUTPUTS") == {"mix": ((2, 3, 4, 5),)}


HOSTILE = ('\\"\\"\\"', "\\'\\'\\'", "\\\\", "\\n    pass\\n", "{x}", "\\000", "\u00e4\u2028")


@pytest.mark.parametrize("word", HOSTILE)
def test_nothing_in_a_network_breaks_out_of_the_text(tmp_path: Path, word: str) -> None:
    text = (
        f'name: "net{word}"\n{INPUT}'
        f'layer {{ name: "a{word}" type: "Blend{word}" bottom: "data" top: "t{word}" p {{ note: "n{word}" }} }}\n'
    )
    made = plan(tmp_path, text)
    tree = ast.parse(made.stubs_source or "")
    assert [type(n).__name__ for n in tree.body] == ["Expr", "ImportFrom", "Import", "Import", "ClassDef"]
    (found,) = classes(made).values()
    assert [n.name for n in found.body if isinstance(n, ast.FunctionDef)] == ["build", "compute_output_spec", "call"]
    assert len(constant(found, "OUTPUTS")) == 1
    assert is_stubs(made.stubs_source or "")
    compile(made.module_source, "net.py", "exec")


def test_a_file_is_known_by_its_first_lines(tmp_path: Path) -> None:
    source = plan(tmp_path, INPUT + SPLICE).stubs_source or ""
    assert is_stubs(source)
    assert is_stubs(source.replace("raise NotImplementedError", "return x  # raise NotImplementedError"))
    assert not is_stubs('"""Mine."""\n\n' + source)
    assert not is_stubs("")
