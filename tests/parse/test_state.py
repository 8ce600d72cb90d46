"""Selection of layers by phase, stages and level."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe2tf.errors import NetworkError, UsageError
from caffe2tf.parse import NetState, NetworkDefinition, Phase, read_network


def network(folder: Path, text: str) -> NetworkDefinition:
    path = folder / "net.prototxt"
    path.write_text(text)
    return read_network(path)


def kept(folder: Path, rules: str, **state: object) -> bool:
    """Return whether a layer with these rules exists. A second layer without rules must always exist."""
    definition = network(folder, f"layer {{ name: 'x' {rules} }} layer {{ name: 'always' }}")
    names = [x.name for x in definition.select(**{"phase": "TEST", **state}).layers]  # type: ignore[arg-type]
    assert names[-1] == "always"
    return names[0] == "x"


@pytest.mark.parametrize(
    ("rules", "state", "expected"),
    [
        ("", {}, True),
        ("include {}", {}, True),
        ("exclude {}", {}, False),
        ("include { phase: TEST }", {}, True),
        ("include { phase: TRAIN }", {}, False),
        ("include { phase: TRAIN }", {"phase": "TRAIN"}, True),
        ("exclude { phase: TRAIN }", {}, True),
        ("exclude { phase: TEST }", {}, False),
        ("include { phase: TRAIN } include { phase: TEST }", {}, True),
        ("exclude { phase: TRAIN } exclude { phase: TEST }", {}, False),
        ("phase: TRAIN", {}, True),  # the phase of a layer is not a rule
        ("include { min_level: 2 }", {"level": 1}, False),
        ("include { min_level: 2 }", {"level": 2}, True),
        ("include { max_level: -2 }", {"level": -2}, True),
        ("include { max_level: -2 }", {"level": -1}, False),
        ("include { min_level: -1 max_level: 1 }", {}, True),
        ("include { stage: 'a' stage: 'b' }", {"stages": ["a"]}, False),
        ("include { stage: 'a' stage: 'b' }", {"stages": ["b", "c", "a"]}, True),
        ("include { stage: 'a' } include { stage: 'b' }", {"stages": ["b"]}, True),
        ("include { not_stage: 'a' }", {}, True),
        ("include { not_stage: 'z' not_stage: 'a' }", {"stages": ["a"]}, False),
        ("exclude { stage: 'a' not_stage: 'b' }", {"stages": ["a"]}, False),
        ("exclude { stage: 'a' not_stage: 'b' }", {"stages": ["a", "b"]}, True),
        ("include { phase: TEST stage: 'a' }", {"phase": "TRAIN", "stages": ["a"]}, False),
    ],
)
def test_rules(tmp_path: Path, rules: str, state: dict[str, object], expected: bool) -> None:
    assert kept(tmp_path, rules, **state) is expected


def test_stages_of_the_file_are_kept_and_its_phase_and_level_are_replaced(tmp_path: Path) -> None:
    text = """state { phase: TRAIN level: 5 stage: "own" }
layer { name: "own" include { stage: "own" stage: "given" } }
layer { name: "test" include { phase: TEST } }
layer { name: "train" include { phase: TRAIN } }
layer { name: "level" include { min_level: 1 } }"""
    definition = network(tmp_path, text)
    selected = definition.select(phase="TEST", stages=("given",))
    assert [x.name for x in selected.layers] == ["own", "test"]
    assert selected.state == NetState(phase=Phase.TEST, level=0, stages=("own", "given"))
    assert definition.state == NetState(phase=Phase.TRAIN, level=5, stages=("own",))
    assert [x.where.line for x in selected.layers] == [2, 3]


def test_all_layers_with_both_include_and_exclude_are_reported(tmp_path: Path) -> None:
    text = "layer { name: 'a' include {} exclude {} }\nlayer { name: 'b' }\nlayer { name: 'c' exclude {} include {} }"
    with pytest.raises(NetworkError) as caught:
        network(tmp_path, text).select(phase="TEST")
    assert [(p.layer, p.where.line if p.where else 0) for p in caught.value.problems] == [("a", 1), ("c", 3)]


def test_invalid_arguments(tmp_path: Path) -> None:
    definition = network(tmp_path, "layer { name: 'a' }")
    with pytest.raises(UsageError, match=r"'test'.*'TEST' or 'TRAIN'"):
        definition.select(phase="test")
    with pytest.raises(UsageError, match="32 bits"):
        definition.select(phase="TEST", level=2**31)
