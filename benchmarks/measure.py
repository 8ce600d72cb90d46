"""Measures whole processes side by side: wall time, processor time and peak of resident memory.

What is compared runs in turn, one after the other in every round and the order reversed in every other round, so that
whatever else the machine does slows all of them alike. Ratios are taken within rounds; of these the median counts.
This module imports little: a child is charged with the memory of the process that started it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = [
    "Goal",
    "Outcome",
    "Run",
    "Series",
    "Table",
    "caffe2tf_command",
    "in_turn",
    "parse_options",
    "report",
    "run_process",
]

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process from its start to its end.

    Attributes:
        wall: seconds on the clock.
        processor: seconds of all processors together, in the process and in the system for it.
        peak: greatest resident memory in bytes, mapped pages of files included.
    """

    wall: float
    processor: float = 0.0
    peak: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The runs of one candidate, one for each round."""

    name: str
    runs: tuple[Run, ...]

    @property
    def least(self) -> float:
        """The shortest wall time: what else the machine did only ever adds to it."""
        return min(run.wall for run in self.runs)

    @property
    def median(self) -> float:
        """The median of the wall times."""
        return statistics.median(run.wall for run in self.runs)

    @property
    def processor(self) -> float:
        """The shortest processor time."""
        return min(run.processor for run in self.runs)

    @property
    def peak(self) -> int:
        """The greatest peak of memory in bytes."""
        return max(run.peak for run in self.runs)

    def ratio(self, other: Series) -> float:
        """How many times as long as ``other`` it took: the median over the rounds."""
        return statistics.median(a.wall / b.wall for a, b in zip(self.runs, other.runs, strict=True))

    def work_ratio(self, other: Series) -> float:
        """The same of processor time, of which other programs take less."""
        return statistics.median(a.processor / b.processor for a, b in zip(self.runs, other.runs, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Something promised, what was measured, and whether it holds; None where it could not be measured."""

    promise: str
    measured: str
    met: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Figures for a person: a heading, columns, and rows of cells; the first column is text, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a benchmark found."""

    name: str
    tables: tuple[Table, ...]
    goals: tuple[Goal, ...]
    notes: tuple[str, ...] = ()
    load: tuple[float, float] = field(default_factory=lambda: (os.getloadavg()[0], os.cpu_count() or 1))


def caffe2tf_command() -> list[str]:
    """How a shell starts caffe2tf: the script that its installation made, of the Python that runs this."""
    script = Path(sys.executable).with_name("caffe2tf")
    return [str(script)] if script.exists() else [sys.executable, "-m", "caffe2tf"]


def run_process(command: Sequence[str | os.PathLike[str]], *, environment: Mapping[str, str] | None = None) -> Run:
    """Runs a command to its end, its output thrown away.

    Args:
        command: the program and its arguments.
        environment: variables that it gets besides those of this process, or in their place.

    Raises:
        RuntimeError: it failed; with what it wrote to standard error.
    """
    # Some environments forbid Python to keep compiled modules, which an installation has.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    variables |= environment or {}
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=variables) as process:
        assert process.stderr is not None  # noqa: S101 - asked for above
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: status {process.returncode}\n{said.decode()[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(wall=wall, processor=used.ru_utime + used.ru_stime, peak=used.ru_maxrss * unit)


def in_turn(candidates: Mapping[str, Callable[[], Run]], rounds: int, *, warm_up: int = 1) -> dict[str, Series]:
    """Measures the candidates in turn, ``rounds`` times, after rounds that do not count."""
    runs: dict[str, list[Run]] = {name: [] for name in candidates}
    for number in range(-warm_up, rounds):
        for name in list(candidates)[:: -1 if number % 2 else 1]:
            run = candidates[name]()
            if number >= 0:
                runs[name].append(run)
    return {name: Series(name=name, runs=tuple(own)) for name, own in runs.items()}


def report(outcomes: Sequence[Outcome], *, as_json: bool) -> int:
    """Prints what was found; gives the exit status: 1 where a goal was missed."""
    missed = [goal for outcome in outcomes for goal in outcome.goals if goal.met is False]
    if as_json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    else:
        _print(outcomes)
    return 1 if missed else 0


def _print(outcomes: Sequence[Outcome]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - after the measurements: see above
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table as RichTable  # noqa: PLC0415

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    for table in _tables(outcomes):
        drawn = RichTable(title=table.title, box=SIMPLE_HEAD, title_justify="left")
        for number, column in enumerate(table.columns):
            drawn.add_column(column, justify="right" if number else "left", overflow="fold")
        for row in table.rows:
            drawn.add_row(*row)
        console.print(drawn)
    for outcome in outcomes:
        for note in outcome.notes:
            console.print(f"note: {note}", markup=False)


def _tables(outcomes: Sequence[Outcome]) -> Iterator[Table]:
    words = {True: "met", False: "MISSED", None: "left out"}
    for outcome in outcomes:
        yield from outcome.tables
        load, processors = outcome.load
        yield Table(
            title=f"{outcome.name}: goals (load average {load:.1f} on {processors:.0f} processors)",
            columns=("goal", "measured", ""),
            rows=tuple((goal.promise, goal.measured, words[goal.met]) for goal in outcome.goals),
        )


def parse_options(
    text: str | None, more: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """The options that all benchmarks share; ``more`` adds those of one."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="how often each thing is measured (default: 10)")
    default = Path(tempfile.gettempdir()) / "caffe2tf-benchmarks"
    parser.add_argument("--folder", type=Path, default=default, help=f"for files (default: {default})")
    parser.add_argument("--json", action="store_true", help="print JSON")
    if more:
        more(parser)
    return parser.parse_args()
