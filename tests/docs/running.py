"""Runs the code blocks of a page and compares what they print with what the page shows."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cli.command import caffe2tf
from tests.docs.markdown import Block, blocks, same_output

if TYPE_CHECKING:
    import pytest

__all__ = ["check_page"]


def check_page(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the blocks of a page in the current folder, in order.

    - ``python`` blocks share their variables. Below a comment ``<!-- excerpt of FILE -->``, the block must be part of
      the file instead.
    - A ``text`` block shows what the block above it prints.
    - A ``console`` block holds commands (``$ caffe2tf ...``, ``$ python ...``) with their output.
    - ``sh`` blocks install things; they are not run.
    """
    names: dict[str, object] = {"__name__": "page"}
    printed = ""
    for block in blocks(text):
        where = f"block {block.language!r} in line {block.line}"
        match block:
            case Block(language="python", excerpt=str(file)):
                assert block.text in (folder / file).read_text(encoding="utf-8"), where
            case Block(language="python"):
                printed = _run_python(block.text, names)
            case Block(language="text"):
                assert same_output(printed, block.text), f"{where}: {printed}"
            case Block(language="console"):
                for command, shown in block.commands():
                    printed = _run_command(command, monkeypatch)
                    assert same_output(printed, shown), f"{where}: {command}\n{printed}"
            case _:
                assert block.language == "sh", where


def _run_python(code: str, names: dict[str, object]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, names)  # noqa: S102 - the code of our own pages
    return out.getvalue()


def _run_command(line: str, monkeypatch: pytest.MonkeyPatch) -> str:
    program, *arguments = line.split()
    if program == "caffe2tf":
        done = caffe2tf(*arguments)
        assert done.code == 0, done.err
        return done.out
    assert program == "python", line
    out = io.StringIO()
    monkeypatch.setattr(sys, "argv", arguments)
    with contextlib.redirect_stdout(out):
        runpy.run_path(arguments[0], run_name="__main__")
    return out.getvalue()
