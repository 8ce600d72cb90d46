"""Unknown fields: read by the layer, ignored with a note, or a problem."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import pytest

from caffe2tf.diagnostics import Diagnostic, Severity
from caffe2tf.ir import Value
from caffe2tf.ir.expr import Expr
from caffe2tf.layers import Context, Elementwise, register, registry
from caffe2tf.load.unknown import judge_unknown
from caffe2tf.parse import LayerDefinition, read_network
from tests.builders import write_prototxt

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
