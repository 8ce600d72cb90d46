"""Tables and progress at a terminal and in a pipe."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from caffe2tf.cli import output
from caffe2tf.diagnostics import Diagnostic

COLUMNS = [("name", "left"), ("count", "right")]
ROWS = [["a", "1"], ["[bold]b[/bold]", "1,234"]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_table_in_a_pipe_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(COLUMNS, ROWS, footer=["2", "1,235"], title="no title", styles=["red", ""])
    assert capsys.readouterr().out == (
        "name            count\na                   1\n[bold]b[/bold]  1,234\n2               1,235\n"
    )


def test_a_very_long_cell_does_not_widen_its_column(capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise one very long name would pad every other line to its length."""
    rows = [["long" * 10_000, "1"], *([f"row{i}", "2"] for i in range(1000))]
    output.print_table(COLUMNS, rows)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "name    count"
    assert lines[1] == "long" * 10_000 + "      1"
    assert lines[2:4] == ["row0        2", "row1        2"]
    assert len(lines) == 1002


def test_a_long_cell_stays_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(COLUMNS, [["n" * 100, "1"], ["m", "2"]])
    assert {len(line) for line in capsys.readouterr().out.splitlines()} == {107}


def test_a_table_at_a_terminal_is_drawn_and_escapes_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    output.print_table(COLUMNS, [*ROWS, ["c\x1b[31m", "2"]], footer=["3", "x"], title="[red]t\x07")
    text = terminal.getvalue()
    assert "[bold]b[/bold]" in text
    assert "[red]t\\x07" in text
    assert "c\\x1b[31m" in text
    assert "───" in text


def test_progress_appears_only_for_slow_work(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.5, 1.5, 2.0, 2.5])
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("caffe2tf.cli.output.time.monotonic", lambda: next(clock))
    with output.progress_bar("writing") as step:
        step(1, 4)
        assert terminal.getvalue() == ""
        step(2, 4)
    assert "writing" in terminal.getvalue()


def test_progress_prints_nothing_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress_bar("writing") as step:
        step(1, 4)
    assert capsys.readouterr() == ("", "")


def test_only_the_first_notes_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_notes([Diagnostic.note(f"n{i}") for i in range(15)])
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1] == "note: and 3 more notes"
    assert len(said.err.splitlines()) == 13


def test_json_replaces_non_finite_numbers_by_null(capsys: pytest.CaptureFixture[str]) -> None:
    inf, nan = float("inf"), float("nan")
    output.print_json(
        {"a": [inf, (nan, 1.5)], "b": {"c": -inf, "d": np.float64("nan")}, "e": Path("f"), "g": [None, True]}
    )
    said = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert said == {"a": [None, [None, 1.5]], "b": {"c": None, "d": None}, "e": "f", "g": [None, True]}


@pytest.mark.parametrize(("number", "text"), [(None, "?"), (0, "-"), (60965224, "60,965,224")])
def test_counts(number: int | None, text: str) -> None:
    assert output.count(number) == text
