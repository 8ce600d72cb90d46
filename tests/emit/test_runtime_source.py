from __future__ import annotations

import ast
from pathlib import Path

import pytest

from caffe2tf.emit.runtime_source import extract_runtime, listed_classes, runtime_names
from caffe2tf.errors import UsageError
from tests.emit.test_module import RUFF, ruff


def defined(source: str) -> list[str]:
    return [n.name for n in ast.parse(source).body if isinstance(n, ast.ClassDef | ast.FunctionDef)]


def test_a_layer_comes_with_what_it_uses_and_no_more() -> None:
    source = extract_runtime(["LRN"])
    assert defined(source) == ["LRN"]
    assert "import numpy" not in source
    pooling = extract_runtime(["MaxPooling"])
    assert "_Pooling" in defined(pooling)  # its base class
    assert "AveragePooling" not in defined(pooling)


@pytest.mark.parametrize(
    ("name", "bases", "sibling"),
    [
        ("Bias", ["_AlongAxes", "_ByWeights"], "Scale"),
        ("YoloDetectionOutput", ["keep_best_boxes", "rows_or_none", "_GridDetections"], "Yolov3DetectionOutput"),
        ("PermuteInPlace", ["PermutingLayer"], "Transpose"),
        ("ResizeAligned", ["ResamplingLayer"], "Downsample"),
    ],
)
def test_a_base_stands_before_its_class_and_is_not_listed(name: str, bases: list[str], sibling: str) -> None:
    source = extract_runtime([name])
    names = defined(source)
    assert names[: names.index(name) + 1] == [*bases, name]
    assert sibling not in names
    assert listed_classes(source) == [name]


def test_the_order_of_the_request_does_not_matter() -> None:
    assert extract_runtime(["MVN", "LRN", "MVN"]) == extract_runtime(["LRN", "MVN"])


def test_the_listed_classes_can_be_read_back() -> None:
    assert listed_classes(extract_runtime(["MVN", "LRN"])) == ["LRN", "MVN"]
    for other in ("", '"""Mine.\n\nLayers:\n    LRN\n"""\n', "def f(:", "x = 1", "\x00"):
        assert listed_classes(other) is None


def test_all_layers_together_run_alone(tmp_path: Path) -> None:
    """Every class is made where all it needs at once is there, and no name is missing."""
    classes = [n for n in runtime_names() if n in set(defined(extract_runtime(runtime_names())))]
    source = extract_runtime(classes)
    names: dict[str, object] = {"__name__": "caffe_layers"}
    exec(compile(source, "caffe_layers.py", "exec"), names)  # noqa: S102 - our own text
    assert set(classes) <= names.keys()
    assert "caffe2tf.runtime" not in source
    assert "noqa" not in source


@pytest.mark.skipif(RUFF is None, reason="needs ruff")
def test_each_layer_alone_is_clean(tmp_path: Path) -> None:
    for name in sorted(runtime_names()):
        (tmp_path / f"{name}_layers.py").write_text(extract_runtime([name]))
    checked = ruff("check", folder=tmp_path, cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout[:3000]
    formatted = ruff("format", "--diff", "--line-length", "120", folder=tmp_path, cwd=tmp_path)
    assert formatted.returncode == 0, formatted.stdout[:3000]


def test_a_layer_that_is_nowhere() -> None:
    with pytest.raises(UsageError, match="no file defines the runtime layers Nowhere"):
        extract_runtime(["LRN", "Nowhere"])
