"""Measure what each measure of `caffe2tf.speed` saves: a conversion of AlexNet with all of them, and without each one.

    python -m benchmarks.bench_speed [--rounds 10] [--folder FOLDER] [--json]

Whole processes are measured, with the files in the page cache and an empty output folder.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Outcome, Run, Series, Table, in_turn, parse_options, report, run_process
from benchmarks.networks import alexnet

__all__ = ["main", "measure_speed"]

ALL = "all measures"
# Each replacement turns one measure off.
REPLACEMENTS = {
    "without collect_rarely": "speed.collect_rarely = contextlib.nullcontext",
    "without skip_last_collection": "speed.skip_last_collection = lambda: None",
    "without limit_blas_threads": "speed.limit_blas_threads = lambda: None",
    "without hash_early": "speed.hash_early = lambda paths: None",
}
PROGRAM = """
import contextlib
from caffe2tf import speed
{replacement}
from caffe2tf.cli import main
main()
"""


def measure_speed(options: argparse.Namespace) -> Outcome:
    """Measure a conversion with and without each measure; there are no goals."""
    definition, weights = alexnet().write(options.folder)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        out = Path(temporary) / "out"
        candidates = {
            name: functools.partial(_convert, PROGRAM.format(replacement=replacement), definition, weights, out)
            for name, replacement in {ALL: "", **REPLACEMENTS}.items()
        }
        found = in_turn(candidates, options.rounds)
    return Outcome(name="speed", tables=(_table(found),), goals=())


def _convert(program: str, definition: Path, weights: Path, out: Path) -> Run:
    shutil.rmtree(out, ignore_errors=True)
    return run_process([sys.executable, "-c", program, "convert", definition, weights, "-o", out])


def _table(found: dict[str, Series]) -> Table:
    rows = tuple(
        (
            series.name,
            f"{series.median:.3f}",
            f"{series.least:.3f}",
            f"{series.processor:.2f}",
            f"{series.ratio(found[ALL]):.3f}",
            f"{series.work_ratio(found[ALL]):.3f}",
        )
        for series in found.values()
    )
    columns = ("", "median s", "least s", "processor s", "times all", "processor times all")
    return Table(title=f"convert AlexNet, {len(found[ALL].runs)} rounds", columns=columns, rows=rows)


def main() -> int:
    """Run only this benchmark; return the exit status."""
    options = parse_options(__doc__)
    return report([measure_speed(options)], as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
