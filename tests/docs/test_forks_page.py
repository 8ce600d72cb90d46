"""docs/forks.md is generated from the table of contested field numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts import generate_docs

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_page_is_current() -> None:
    current = generate_docs.FORKS_PAGE.read_text(encoding="utf-8")
    assert current == generate_docs.render_forks(), "run scripts/generate_docs.py"


def test_check_detects_an_outdated_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "forks.md"
    monkeypatch.setattr(generate_docs, "PAGE", tmp_path / "layers.md")
    monkeypatch.setattr(generate_docs, "FORKS_PAGE", page)
    assert generate_docs.main([]) == 0
    page.write_text(page.read_text(encoding="utf-8").replace("`hole`", "`gap`"), encoding="utf-8")
    assert generate_docs.main(["--check"]) == 1


def test_the_page_shows_how_a_meaning_is_told_apart() -> None:
    (row,) = (line for line in generate_docs.render_forks().splitlines() if "`hole` (uint32)" in line)
    assert row.startswith("| ConvolutionParameter | 17 | `force_nd_im2col` | TheLegendAli/DeepLab-Context |")
    assert row.endswith("| a value is greater than 1, and field 18 is absent |")
