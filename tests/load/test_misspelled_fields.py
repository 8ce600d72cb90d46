"""Unknown fields: suggestions for misspelled names, and no field is lost silently."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe2tf.diagnostics import Severity
from caffe2tf.errors import NetworkError, UnsupportedError
from caffe2tf.load import load_graph
from caffe2tf.load.unknown import judge_network, judge_unknown
from caffe2tf.parse import NetworkDefinition, read_network
from tests.builders import input_layer, write_prototxt

DATA = input_layer("data", (2, 3, 4, 5))


def definition(folder: Path, text: str) -> NetworkDefinition:
    file = write_prototxt(folder, text)
    return read_network(file)


@pytest.mark.parametrize(
    ("block", "hint"),
    [
        ("convolution_param { num_outputs: 3 kernel_size: 1 }", "; did you mean `num_output`?"),
        ("convolution_parm { num_output: 3 }", "; did you mean `convolution_param`?"),
        ("convolution_param { num_output: 2 kernel_size: 1 deformable: true }", ""),  # no known name is similar
        (
            "convolution_param { num_output: 2 kernel_size: 1 pooled_w: 2 }",
            "",
        ),  # a field of another block is not suggested
        ("convolution_param { num_output: 2 kernel_size: 1 engine: 7 }", ""),  # the field is known, its value is not
        ("convolution_param { num_output: 2 kernel_size: 1 weight_filler { typ: 1 } }", "; did you mean `type`?"),
        ("param { nmae: 'w' } convolution_param { num_output: 2 kernel_size: 1 }", "; did you mean `name`?"),
        ("psroi { pooled_wide: 1 }", ""),  # the block itself is unknown
    ],
)
def test_a_misspelled_field(tmp_path: Path, block: str, hint: str) -> None:
    text = DATA + f'layer {{ name: "c" type: "Convolution" bottom: "data" top: "x" {block} }}\n'
    (found,) = judge_unknown(definition(tmp_path, text).layers[-1])
    note = found.severity is Severity.NOTE
    assert found.message.endswith(f"is ignored{hint}" if note else f"remove it if it does not{hint}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'layr { name: "r" type: "ReLU" bottom: "data" top: "data" }',
            "field 'layr' is not known; did you mean `layer`?",
        ),
        ('inputs: "x"', "field 'inputs' is not known; did you mean `input`?"),
    ],
)
def test_a_misspelled_part_of_the_network_is_a_problem(tmp_path: Path, text: str, said: str) -> None:
    (found,) = judge_network(definition(tmp_path, DATA + text))
    assert (str(found), found.severity) == (f"{tmp_path}/net.prototxt:2:1: {said}", Severity.ERROR)
    with pytest.raises(NetworkError, match=said.split(";", maxsplit=1)[0]):
        load_graph(definition(tmp_path, DATA + text))


def test_other_unknown_fields_outside_the_layers_are_notes(tmp_path: Path) -> None:
    notes = load_graph(definition(tmp_path, DATA + "forse_backward: true\nprofile { on: true }\n")).notes
    assert [str(n).partition("net.prototxt")[2] for n in notes] == [
        ":2:1: unknown field 'forse_backward' is ignored; did you mean `force_backward`?",
        ":3:1: unknown field 'profile' is ignored",
    ]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("tpye", "the layer has no type; did you mean `type` by 'tpye'?"),
        ("colour", "the layer has no type; add one"),
    ],
)
def test_a_layer_without_a_type(tmp_path: Path, word: str, said: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        load_graph(definition(tmp_path, f'layer {{ name: "d" {word}: "Input" top: "d" }}'))
    (found,) = caught.value.problems
    assert found.message == said
