"""Layers that exist for a NetState, and data layers that exist only in another phase."""

from __future__ import annotations

from pathlib import Path

import pytest

import caffe2tf
from tests.builders import write_prototxt

TRAIN_ONLY = """
layer { name: "data" type: "Input" top: "data" include { phase: TRAIN } input_param { shape { dim: 2 dim: 3 } } }
layer { name: "r" type: "ReLU" bottom: "data" top: "out" }
"""


def test_a_data_layer_of_the_other_phase_is_an_input(tmp_path: Path) -> None:
    file = write_prototxt(tmp_path, TRAIN_ONLY)
    assert caffe2tf.infer_shapes(file) == {"data": (2, 3), "out": (2, 3)}
    notes = caffe2tf.convert(file, None, tmp_path / "out").notes
    assert any("layer 'data': no layer writes data in phase TEST" in str(n) for n in notes)


def test_a_layer_that_computes_is_not_taken_from_the_other_phase(tmp_path: Path) -> None:
    source, relu = TRAIN_ONLY.strip().split("\n")
    other = 'layer { name: "t" type: "TanH" bottom: "x" top: "data" include { phase: TRAIN } }'
    file = write_prototxt(tmp_path, source.replace('"data"', '"x"') + "\n" + other + "\n" + relu)
    with pytest.raises(caffe2tf.NetworkError, match="bottom 'data' is not the top of any earlier layer"):
        caffe2tf.infer_shapes(file)


def test_a_data_layer_of_the_phase_is_preferred(tmp_path: Path) -> None:
    own = TRAIN_ONLY.replace("TRAIN", "TEST").replace("dim: 2", "dim: 7").split("\n")[1]
    file = write_prototxt(tmp_path, TRAIN_ONLY.replace('layer { name: "r"', own + '\nlayer { name: "r"'))
    assert caffe2tf.infer_shapes(file)["out"] == (7, 3)
    assert caffe2tf.infer_shapes(file, phase="TRAIN")["out"] == (2, 3)


@pytest.mark.parametrize(
    ("rule", "state", "kept"),
    [
        ('include { stage: "deploy" }', {"stages": ("deploy",)}, True),
        ('include { stage: "deploy" }', {}, False),
        ('include { not_stage: "fit" }', {"stages": ("fit",)}, False),
        ("include { min_level: 2 }", {"level": 2}, True),
        ("include { min_level: 2 }", {"level": 1}, False),
        ("exclude { phase: TEST max_level: 0 }", {"level": 1}, True),
        ("exclude { phase: TEST max_level: 0 }", {}, False),
    ],
)
def test_rules_of_the_net_state(tmp_path: Path, rule: str, state: dict[str, object], kept: bool) -> None:
    text = TRAIN_ONLY.replace("include { phase: TRAIN }", "")
    file = write_prototxt(tmp_path, text + f'layer {{ name: "t" type: "TanH" bottom: "out" top: "t" {rule} }}\n')
    assert ("t" in caffe2tf.infer_shapes(file, **state)) == kept  # type: ignore[arg-type]
