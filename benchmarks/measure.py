"""Measurement of whole processes: wall time, processor time and peak resident memory.

The candidates run one after the other in every round, in reverse order in every other round, so that other load slows
all of them alike. Ratios are taken within rounds, and their median is reported. This module imports little, because the
memory of the parent process counts towards that of a child.
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
    """The measurements of one process.

    Attributes:
        wall: Elapsed time in seconds.
        processor: User and system time of all processors in seconds.
        peak: Peak resident memory in bytes, including mapped pages of files.
    """

    wall: float
    processor: float = 0.0
    peak: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The runs of one candidate, one per round."""

    name: str
    runs: tuple[Run, ...]

    @property
    def least(self) -> float:
        """The shortest wall time, which is least disturbed by other load."""
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
        """The largest peak of memory in bytes."""
        return max(run.peak for run in self.runs)

    def ratio(self, other: Series) -> float:
        """Return the wall time as a multiple of that of ``other``: the median over the rounds."""
        return statistics.median(a.wall / b.wall for a, b in zip(self.runs, other.runs, strict=True))

    def work_ratio(self, other: Series) -> float:
        """Return the same for processor time, which other load disturbs less."""
        return statistics.median(a.processor / b.processor for a, b in zip(self.runs, other.runs, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A goal, what was measured, and whether it is met; None if it could not be measured."""

    promise: str
    measured: str
    met: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with a title, column headings and rows. The first column holds text, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a benchmark."""

    name: str
    tables: tuple[Table, ...]
    goals: tuple[Goal, ...]
    notes: tuple[str, ...] = ()
    load: tuple[float, float] = field(default_factory=lambda: (os.getloadavg()[0], os.cpu_count() or 1))


def caffe2tf_command() -> list[str]:
    """Return the command that starts caffe2tf: the installed script of the Python that runs this."""
    script = Path(sys.executable).with_name("caffe2tf")
    return [str(script)] if script.exists() else [sys.executable, "-m", "caffe2tf"]


def run_process(command: Sequence[str | os.PathLike[str]], *, environment: Mapping[str, str] | None = None) -> Run:
    """Run a command and discard its output.

    Args:
        command: The program and its arguments.
        environment: Variables that are added to the environment or replace others in it.

    Raises:
        RuntimeError: The command failed; the message holds its standard error.
    """
    # The environment may forbid Python to cache compiled modules, which a normal installation does.
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
    """Measure the candidates in turn, ``rounds`` times, after rounds for warming up."""
    runs: dict[str, list[Run]] = {name: [] for name in candidates}
    for number in range(-warm_up, rounds):
        for name in list(candidates)[:: -1 if number % 2 else 1]:
            run = candidates[name]()
            if number >= 0:
                runs[name].append(run)
    return {name: Series(name=name, runs=tuple(own)) for name, own in runs.items()}


def report(outcomes: Sequence[Outcome], *, as_json: bool) -> int:
    """Print the results; return the exit status, which is 1 if a goal was missed."""
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
    """Parse the options that all benchmarks share; ``more`` adds those of one benchmark."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="number of measurements of each candidate (default: 10)")
    default = Path(tempfile.gettempdir()) / "caffe2tf-benchmarks"
    parser.add_argument("--folder", type=Path, default=default, help=f"folder for files (default: {default})")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    if more:
        more(parser)
    return parser.parse_args()
