"""docs/layers.md says what the layers' docstrings say."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from caffe2tf.layers import registered
from scripts import generate_docs


def test_the_page_is_current() -> None:
    assert generate_docs.PAGE.read_text(encoding="utf-8") == generate_docs.render(), "run scripts/generate_docs.py"


def test_an_outdated_page_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "layers.md"
    monkeypatch.setattr(generate_docs, "PAGE", page)
    assert generate_docs.main(["--check"]) == 1
    assert generate_docs.main([]) == 0
    assert generate_docs.main(["--check"]) == 0
    page.write_text(page.read_text(encoding="utf-8").replace("Convolution", "Confusion"), encoding="utf-8")
    assert generate_docs.main(["--check"]) == 1


OURS = {n: c for n, c in registered().items() if c.__module__.startswith("caffe2tf.layers.")}


@pytest.mark.parametrize("name", OURS)
def test_every_layer_documents_itself(name: str) -> None:
    doc = inspect.getdoc(OURS[name])
    assert doc is not None
    assert OURS[name].__doc__ is not None, "the docstring must be the class's own"
    assert len(doc) > 12
