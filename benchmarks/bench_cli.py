"""Measure the commands that do not run a model, in comparison with an empty Python program.

    python -m benchmarks.bench_cli [--rounds 10] [--folder FOLDER] [--json]

The definitions are written for this project; their layers are those of the published networks.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

from benchmarks.measure import (
    Goal,
    Outcome,
    Series,
    Table,
    caffe2tf_command,
    in_turn,
    parse_options,
    report,
    run_process,
)
from benchmarks.networks import alexnet, resnet50

__all__ = ["main", "measure_commands"]

HELP, INSPECT = "caffe2tf --help", "inspect ResNet-50"
SECONDS = {HELP: 0.3, INSPECT: 0.6}


def measure_commands(options: argparse.Namespace) -> Outcome:
    """Measure each command and compare it with its limit."""
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    definitions = {}
    for network in (alexnet(), resnet50()):
        definitions[network.name] = folder / f"{network.name}.prototxt"
        definitions[network.name].write_text(network.prototxt, encoding="utf-8")
    tool = caffe2tf_command()
    commands: dict[str, list[str | Path]] = {
        "python, empty program": [sys.executable, "-c", ""],
        "python, import numpy": [sys.executable, "-c", "import numpy"],
        HELP: [*tool, "--help"],
        "inspect AlexNet": [*tool, "inspect", definitions["alexnet"]],
        INSPECT: [*tool, "inspect", definitions["resnet50"]],
    }
    candidates = {name: functools.partial(run_process, command) for name, command in commands.items()}
    found = in_turn(candidates, options.rounds)
    goals = tuple(_goal(found[name], seconds) for name, seconds in SECONDS.items())
    return Outcome(name="commands", tables=(_table(found),), goals=goals)


def _table(found: dict[str, Series]) -> Table:
    empty, *_ = found.values()
    rows = tuple(
        (
            s.name,
            f"{s.median:.3f}",
            f"{s.least:.3f}",
            f"{s.processor:.2f}",
            f"{s.peak / 1e6:.0f}",
            f"{s.ratio(empty):.1f}",
        )
        for s in found.values()
    )
    columns = ("", "median s", "least s", "processor s", "peak MB", "times empty")
    return Table(title=f"commands, {len(empty.runs)} rounds", columns=columns, rows=rows)


def _goal(series: Series, seconds: float) -> Goal:
    return Goal(
        promise=f"{series.name}: under {seconds} s",
        measured=f"{series.least:.3f} s at least, {series.median:.3f} s in the median",
        met=series.least < seconds,
    )


def main() -> int:
    """Run only this benchmark; return the exit status."""
    options = parse_options(__doc__)
    return report([measure_commands(options)], as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
