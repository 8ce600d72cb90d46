"""What a program hands to the public functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2tf
from caffe2tf import alexnet
from caffe2tf.arguments import checked_shapes


def test_shapes_become_plain_tuples() -> None:
    given: dict[str, Any] = {"a": [np.int64(2), 3], "b": np.array([4]), "c": ()}
    shapes = checked_shapes(given)
    assert shapes == {"a": (2, 3), "b": (4,), "c": ()}
    assert {type(d) for shape in shapes.values() for d in shape} == {int}
    assert checked_shapes(None) == {}


@pytest.mark.parametrize("wrong", [(2.5, 3), "1,3", 7, (0, 3), (2, -1), None, (2, None)])
def test_invalid_shapes_are_refused(digits: Path, wrong: object) -> None:
    given: dict[str, Any] = {"data": wrong}
    for function in (caffe2tf.infer_shapes, caffe2tf.convert):
        with pytest.raises(caffe2tf.UsageError, match="input 'data': give whole numbers of 1 or more"):
            function(digits / "deploy.prototxt", input_shapes=given)


@pytest.mark.parametrize(("argument", "word"), [("weights_format", "hdf5"), ("on_unknown", "Stub")])
def test_an_unknown_choice_is_refused(digits: Path, tmp_path: Path, argument: str, word: str) -> None:
    other: dict[str, Any] = {argument: word}
    with pytest.raises(caffe2tf.UsageError, match=f"^{argument} '{word}': choose one of "):
        caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", tmp_path, **other)
    assert list(tmp_path.iterdir()) == []


def test_a_layout_that_is_none(tmp_path: Path) -> None:
    layout: Any = "tuples"
    with pytest.raises(caffe2tf.UsageError, match="layout 'tuples': choose one of lists, dicts"):
        alexnet.regenerate("any.caffemodel", tmp_path / "a.npy", layout=layout)


def test_a_folder_with_a_null_character(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(caffe2tf.OutputError, match="null character"):
        caffe2tf.convert(digits / "deploy.prototxt", out=f"{tmp_path}/a\0b")
