"""The library names no option of the command line: a Python caller could not use it."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.test_imports import OURS, TREES

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def options(tree: ast.AST) -> list[str]:
    """Return the options that strings name, those in docstrings and in parts of f-strings included."""
    strings = (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return [option for text in strings for option in OPTION.findall(text)]


@pytest.mark.parametrize("module", [name for name in OURS if not name.startswith("caffe2tf.cli")])
def test_a_module_of_the_library_names_no_option(module: str) -> None:
    assert options(TREES[module]) == []


@pytest.mark.parametrize("source", ["'give --input-shape'", "f'{x} (--json)'", "def f():\n    '''As --on-unknown.'''"])
def test_an_option_is_found(source: str) -> None:
    assert len(options(ast.parse(source))) == 1


@pytest.mark.parametrize("source", ["'a--b'", "'---'", "'-- '", "'x -o y'", "# --json"])
def test_dashes_are_not_an_option(source: str) -> None:
    assert options(ast.parse(source)) == []
