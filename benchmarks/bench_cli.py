"""How long the commands take that only look at a network, beside an empty Python program.

    python benchmarks/bench_cli.py [--rounds 10] [--folder FOLDER] [--json]

The definitions are our own; the published one of ResNet-50 is measured, too, where it lies beside the project.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

from measure import Goal, Outcome, Series, Table, caffe2tf_command, in_turn, parse_options, report, run_process
from networks import ROOT, alexnet, resnet50

__all__ = ["main", "measure_commands"]

HELP, INSPECT = "caffe2tf --help", "inspect ResNet-50"
SECONDS = {HELP: 0.3, INSPECT: 0.6, "inspect ResNet-50, Kaiming He's file": 0.6}
PUBLISHED = ROOT.parent / "shared" / "goldens" / "nets" / "resnet50.prototxt"
"""The published definition, where it lies beside the project; it is not ours to pass on."""


def measure_commands(options: argparse.Namespace) -> Outcome:
    """Each command's time, and whether it is as short as promised."""
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
    if PUBLISHED.exists():
        commands["inspect ResNet-50, Kaiming He's file"] = [*tool, "inspect", PUBLISHED]
    candidates = {name: functools.partial(run_process, command) for name, command in commands.items()}
    found = in_turn(candidates, options.rounds)
    goals = tuple(_goal(found[name], seconds) for name, seconds in SECONDS.items() if name in found)
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
    """Runs this benchmark alone."""
    options = parse_options(__doc__)
    return report([measure_commands(options)], as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
