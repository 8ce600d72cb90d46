"""Output for a terminal, for a pipe and as JSON."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caffe2tf.diagnostics import Diagnostic

__all__ = ["count", "print_json", "print_line", "print_notes", "print_problem", "print_table", "progress_bar"]

_WIDEST = 120  # characters; a longer cell does not widen its column
_SLOW = 1.0  # seconds before the progress bar appears


def print_json(data: object) -> None:
    """Print one JSON document. NaN and infinities become null, because JSON has no numbers for them."""
    sys.stdout.write(json.dumps(_finite(data), indent=2, default=str, allow_nan=False) + "\n")


def _finite(data: object) -> object:
    match data:
        case float():
            return data if math.isfinite(data) else None
        case dict():
            return {key: _finite(value) for key, value in data.items()}
        case list() | tuple():
            return [_finite(value) for value in data]
    return data


def print_line(text: str = "") -> None:
    """Print a line of plain text on standard output; markup in it is not interpreted."""
    sys.stdout.write(_visible(text) + "\n")


def print_problem(text: str) -> None:
    """Print lines of plain text on standard error."""
    sys.stderr.write("\n".join(map(_visible, text.split("\n"))) + "\n")


def print_notes(notes: Sequence[Diagnostic], *, limit: int = 12) -> None:
    """Print notes on standard error, so that a pipe receives only results."""
    from caffe2tf.cli.hints import COMMAND_LINE

    for note in notes[:limit]:
        print_problem(f"note: {note.text(COMMAND_LINE)}")
    if len(notes) > limit:
        print_problem(f"note: and {len(notes) - limit} more notes")


def _visible(text: str) -> str:
    """Return ``text`` with control characters escaped: a name from a file must not control the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def count(number: int | None) -> str:
    """Return a count as text, such as 60,965,224; a dash for 0 and a question mark for None."""
    return "?" if number is None else f"{number:,}" if number else "-"


def print_table(
    columns: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[str]],
    *,
    footer: Sequence[str] | None = None,
    title: str = "",
    styles: Sequence[str] = (),
) -> None:
    """Print a table: drawn at a terminal, with columns separated by two spaces in a pipe.

    Args:
        columns: The heading of each column and its alignment, "left" or "right".
        rows: The cells, as plain text.
        footer: The cells of a last row with totals.
        title: The text above the table; printed at a terminal only.
        styles: A rich style for each row, or nothing.
    """
    if not sys.stdout.isatty():
        _print_plain(columns, [*rows, *([footer] if footer else [])])
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, title=Text(_visible(title)) if title else None, show_footer=footer is not None)
    for i, (heading, side) in enumerate(columns):
        justify: Any = side
        table.add_column(heading, justify=justify, overflow="fold", footer=Text(footer[i]) if footer else "")
    for i, row in enumerate(rows):
        table.add_row(*(Text(_visible(cell)) for cell in row), style=styles[i] if styles else None)
    Console().print(table)


def _print_plain(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> None:
    table = [[heading for heading, _ in columns], *rows]
    widths = [max(n for row in table if (n := len(row[i])) <= _WIDEST) for i in range(len(columns))]
    for row in table:
        cells = (
            cell.rjust(width) if side == "right" else cell.ljust(width)
            for cell, width, (_, side) in zip(row, widths, columns, strict=True)
        )
        print_line("  ".join(cells).rstrip())


def _no_step(done: int, total: int) -> None:
    del done, total


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield ``step(done, total)``; at a terminal, a bar appears if the work takes longer than a second."""
    if not sys.stderr.isatty():
        yield _no_step
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    start = time.monotonic()
    task = bar.add_task(label, total=None)
    shown = False

    def step(done: int, total: int) -> None:
        nonlocal shown
        if not shown and time.monotonic() - start > _SLOW:
            bar.start()
            shown = True
        bar.update(task, completed=done, total=total)

    try:
        yield step
    finally:
        if shown:
            bar.stop()
