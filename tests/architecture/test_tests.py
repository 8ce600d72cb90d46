"""Holds the tests themselves against the house style: they mirror the package, and their files are short."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("*.py"))
MODULES = [path for path in FILES if path.name.startswith("test_")]
# Folders whose tests cut across the package or are about something outside it.
OTHER_FOLDERS = {"architecture", "differential", "docs", "published", "scenarios", "scripts"}


def subject(path: Path) -> Path:
    """Return the module that a test module is named after: `caffe2tf/load/names.py` for `load/test_names.py`."""
    return ROOT / "caffe2tf" / path.relative_to(TESTS).with_name(path.name.removeprefix("test_"))


def relative(path: Path) -> str:
    return str(path.relative_to(TESTS))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_sizes(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 400, f"{path} has {lines} lines; split it"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_folder_is_named_after_a_package_or_cuts_across_them(path: Path) -> None:
    folder = path.parent.relative_to(TESTS)
    other = bool(folder.parts) and folder.parts[0] in OTHER_FOLDERS
    assert other or (ROOT / "caffe2tf" / folder).is_dir(), (
        f"there is no package caffe2tf/{folder}; move {path.name} to the folder of the package that it tests"
    )


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_is_named_after_what_it_tests(path: Path) -> None:
    if path.parent == TESTS:
        assert subject(path).is_file(), f"{path.name} has no module of its name; move it to tests/scenarios"
    elif not subject(path).is_file():
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert docstring, f"{path} has no module of its name; rename it, or state its subject in a docstring"
