"""docs/layers.md is generated from the layers' docstrings."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from caffe2tf.emit.runtime_source import runtime_names
from caffe2tf.layers import is_ours, registered
from scripts import generate_docs


def test_the_page_is_current() -> None:
    assert generate_docs.PAGE.read_text(encoding="utf-8") == generate_docs.render(), "run scripts/generate_docs.py"


def test_check_detects_an_outdated_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "layers.md"
    monkeypatch.setattr(generate_docs, "PAGE", page)
    monkeypatch.setattr(generate_docs, "FORKS_PAGE", tmp_path / "forks.md")
    assert generate_docs.main(["--check"]) == 1
    assert generate_docs.main([]) == 0
    assert generate_docs.main(["--check"]) == 0
    page.write_text(page.read_text(encoding="utf-8").replace("Convolution", "Confusion"), encoding="utf-8")
    assert generate_docs.main(["--check"]) == 1


OURS = {n: c for n, c in registered().items() if is_ours(c)}


@pytest.mark.parametrize("name", OURS)
def test_every_layer_has_a_docstring(name: str) -> None:
    doc = inspect.getdoc(OURS[name])
    assert doc is not None
    assert OURS[name].__doc__ is not None, "the docstring must be the class's own"
    assert len(doc) > 12


def test_the_page_names_only_layers_that_readers_can_find() -> None:
    """Layer types and runtime layers, but no internal classes of the converter."""
    named = set(re.findall(r"(?<!`)`([A-Z]\w+)`(?!`)", generate_docs.render()))
    assert named
    assert named <= OURS.keys() | runtime_names()


@pytest.mark.parametrize(
    ("name", "fate"),
    [
        ("EuclideanLoss", "left out unless asked for (`--keep-losses`)"),
        ("MultiBoxLoss", "left out"),
        ("SoftmaxWithLossOHEM", "left out"),
        ("Silence", "left out"),
        ("ReLU", ""),
    ],
)
def test_the_page_says_what_a_layer_becomes(name: str, fate: str) -> None:
    (row,) = (line for line in generate_docs.render().splitlines() if line.startswith(f"| [{name}]"))
    assert row.endswith(f" | {fate} |")
