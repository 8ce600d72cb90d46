"""Unknown fields: read by the layer, ignored with a note, or a problem."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import pytest

from caffe2tf.diagnostics import Diagnostic, Severity
from caffe2tf.errors import NetworkError, UnsupportedError
from caffe2tf.ir import Value
from caffe2tf.ir.expr import Expr
from caffe2tf.layers import Context, Elementwise, register, registry
from caffe2tf.load import load_graph
from caffe2tf.load.unknown import judge_network, judge_unknown
from caffe2tf.parse import LayerDefinition, NetworkDefinition, read_network
from tests.builders import input_layer, write_prototxt

REFUSED = "is not known, and may change what the layer computes"


def judge(folder: Path, type_: str, fields: str) -> list[Diagnostic]:
    file = write_prototxt(folder, f'layer {{\n  name: "one"\n  type: "{type_}"\n{fields}\n}}\n')
    (definition,) = read_network(file).layers
    return judge_unknown(definition)


def refused(folder: Path, type_: str, fields: str) -> list[str]:
    """Return the paths of the fields that are problems."""
    found = [d for d in judge(folder, type_, fields) if d.severity is not Severity.NOTE]
    assert all(d.severity is Severity.UNSUPPORTED and d.layer == "one" and REFUSED in d.message for d in found)
    return [d.message.split("'")[1] for d in found]


def test_every_field_is_reported_with_its_place(tmp_path: Path) -> None:
    fields = "  quantise { bits: 8 }\n  convolution_param {\n    num_output: 2 deformable: true\n    mask: 1\n  }"
    found = judge(tmp_path, "Convolution", fields)
    assert [(d.message.split("'")[1], d.where.line if d.where else 0) for d in found] == [
        ("quantise", 4),
        ("convolution_param.deformable", 6),
        ("convolution_param.mask", 7),
    ]
    assert refused(tmp_path, "Convolution", fields) == [d.message.split("'")[1] for d in found]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ("transform_param { augment: 3 }", "transform_param.augment"),
        ("param { lr_mult: 1 } param { policy: 2 }", "param[1].policy"),
        ("include { phase: TEST machine: 4 }", "include[0].machine"),
        ("convolution_param { weight_filler { kind: 1 } }", "convolution_param.weight_filler.kind"),
        ("convolution_param { conv_algorithm: 'direct' }", "convolution_param.conv_algorithm"),
        ("forward_type: FLOAT16", "forward_type"),
    ],
)
def test_fields_about_training_or_scheduling_are_ignored(tmp_path: Path, fields: str, path: str) -> None:
    (note,) = judge(tmp_path, "Convolution", fields)
    assert note.severity is Severity.NOTE
    assert "net.prototxt:4:" in str(note)
    assert str(note).endswith(f": layer 'one': unknown field {path!r} is ignored")


@pytest.mark.parametrize("fields", ["params { x: 1 }", "convolution_param { engines: 2 }", "transform { param: 1 }"])
def test_a_field_with_a_similar_name_is_a_problem(tmp_path: Path, fields: str) -> None:
    assert len(refused(tmp_path, "Convolution", fields)) == 1


@pytest.mark.parametrize("type_", ["Input", "Data", "SoftmaxWithLoss", "Accuracy", "Silence"])
def test_every_field_of_a_layer_that_does_not_compute_is_ignored(tmp_path: Path, type_: str) -> None:
    notes = judge(tmp_path, type_, "odd { x: 1 } weird: 2")
    assert [(n.severity, n.message.split("'")[1]) for n in notes] == [(Severity.NOTE, "odd"), (Severity.NOTE, "weird")]


def test_a_field_that_the_layer_reads_is_not_reported(tmp_path: Path) -> None:
    assert judge(tmp_path, "Reverse", "reverse_param { axis: 1 }") == []
    assert refused(tmp_path, "Reverse", "reverse_param { axis: 1 } reverse_params { axis: 2 }") == ["reverse_params"]
    assert refused(tmp_path, "ReLU", "reverse_param { axis: 1 }") == ["reverse_param"]


def test_the_fields_of_a_layer_of_unknown_type_are_not_reported(tmp_path: Path) -> None:
    assert judge(tmp_path, "Zebra", "stripes { count: 9 }") == []


@pytest.fixture
def own_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.registered()
    monkeypatch.setattr(registry, "_types", dict(registry._types))

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Quiet(Elementwise):
        """A layer of a plugin that does not list the fields that it reads."""

        @classmethod
        def read(cls, proto: LayerDefinition) -> Self:
            del proto
            return cls()

        def emit(self, ctx: Context, *inputs: Value) -> Expr:
            raise NotImplementedError

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Telling(Quiet):
        """A layer of a plugin that lists the fields that it reads."""

        reads_unknown: ClassVar[tuple[str, ...]] = ("bend_param", "extra")

    register("Quiet")(Quiet)
    register("Telling")(Telling)


def test_a_layer_of_a_plugin_reads_all_fields_unless_it_lists_them(own_layers: None, tmp_path: Path) -> None:
    fields = "bend_param { factor: 2 } extra: 1 extra: 2 more { x: 1 }"
    assert judge(tmp_path, "Quiet", fields) == []
    assert refused(tmp_path, "Telling", fields) == ["more"]


# --- suggestions for misspelled names ---

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
