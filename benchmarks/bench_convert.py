"""Measure the time and memory of a conversion, in comparison with ``cp`` and with MNN's converter.

    python -m benchmarks.bench_convert [--rounds 10] [--mnnconvert PATH] [--folder FOLDER] [--json]

Whole processes are measured, with the files in the page cache and an empty output folder. MNN's converter
(``pip install MNN`` in a separate environment) is given by the option, by MNNCONVERT or by the PATH.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import (
    Goal,
    Outcome,
    Run,
    Series,
    Table,
    caffe2tf_command,
    in_turn,
    parse_options,
    report,
    run_process,
)
from benchmarks.networks import Network, alexnet, vgg16

__all__ = ["add_options", "main", "measure_conversion"]

MB = 1_000_000
AT_LEAST = 0.7
"""A conversion may take this many seconds, even if the copy is faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of a network, and the output folder."""

    definition: Path
    weights: Path
    out: Path

    def empty(self) -> None:
        """Empty the output folder."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()

    def copy(self) -> Run:
        """Copy the weights with ``cp``, without sharing blocks."""
        self.empty()
        return run_process(["cp", *_no_reflink(), self.weights, self.out / "copy"])

    def convert(self) -> Run:
        """Run ``caffe2tf convert``, which writes code and weights."""
        self.empty()
        return run_process([*caffe2tf_command(), "convert", self.definition, self.weights, "-o", self.out])

    def mnn(self, program: str) -> Run:
        """Run ``mnnconvert``, which writes MNN's own format.

        The PATH is empty, because the program would otherwise use pip to install a package that reports its usage.
        """
        self.empty()
        files = ("--modelFile", self.weights, "--prototxt", self.definition, "--MNNModel", self.out / "net.mnn")
        return run_process([program, "-f", "CAFFE", *files, "--bizCode", "x"], environment={"PATH": ""})


def measure_conversion(options: argparse.Namespace) -> Outcome:
    """Measure both networks; return a table for each and the goals."""
    notes = [] if options.mnnconvert else ["mnnconvert was not found, so the comparison with it was left out"]
    tables, goals = [], []
    for network in (alexnet(), vgg16()):
        files, found = _measure(network, options)
        size = files.weights.stat().st_size
        tables.append(_table(network, size, found))
        goals += _goals_of_alexnet(found, size) if network.name == "alexnet" else _goals_of_vgg16(found, network, size)
        if network.name == "alexnet":
            goals.append(_without_tensorflow(files))
    return Outcome(name="convert", tables=tuple(tables), goals=tuple(goals), notes=tuple(notes))


def _measure(network: Network, options: argparse.Namespace) -> tuple[Files, dict[str, Series]]:
    definition, weights = network.write(options.folder)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        files = Files(definition=definition, weights=weights, out=Path(temporary) / "out")
        candidates: dict[str, Callable[[], Run]] = {"cp": files.copy, "caffe2tf convert": files.convert}
        if options.mnnconvert:
            candidates["mnnconvert"] = functools.partial(files.mnn, options.mnnconvert)
        return files, in_turn(candidates, options.rounds)


def _table(network: Network, size: int, found: dict[str, Series]) -> Table:
    rows = tuple(
        (
            series.name,
            f"{series.median:.3f}",
            f"{series.least:.3f}",
            f"{series.processor:.2f}",
            f"{series.peak / MB:.0f}",
            f"{series.ratio(found['cp']):.2f}",
        )
        for series in found.values()
    )
    columns = ("", "median s", "least s", "processor s", "peak MB", "times cp")
    rounds = len(found["cp"].runs)
    return Table(title=f"{network.name}, {size / MB:.0f} MB, {rounds} rounds", columns=columns, rows=rows)


def _goals_of_alexnet(found: dict[str, Series], size: int) -> list[Goal]:
    ours, copy, mnn = found["caffe2tf convert"], found["cp"], found.get("mnnconvert")
    ratio = ours.ratio(copy)
    return [
        Goal(
            promise=f"at most 3 times cp, or {AT_LEAST} s",
            measured=f"{ratio:.2f} times cp; {ours.least:.3f} s at least, {ours.median:.3f} s in the median",
            met=ratio <= 3 or ours.least <= AT_LEAST,
        ),
        Goal(
            promise="at least 8 times as fast as mnnconvert",
            measured=f"{mnn.ratio(ours):.1f} times" if mnn else "-",
            met=mnn.ratio(ours) >= 8 if mnn else None,
        ),
        Goal(
            promise="peak memory at most the file and 80 MB",
            measured=f"{ours.peak / MB:.0f} MB; file {size / MB:.0f} MB",
            met=ours.peak <= size + 80 * MB,
        ),
    ]


def _goals_of_vgg16(found: dict[str, Series], network: Network, size: int) -> list[Goal]:
    peak = found["caffe2tf convert"].peak
    return [
        Goal(
            promise="peak memory at most the largest blob and 80 MB",
            measured=f"{peak / MB:.0f} MB; largest blob {network.largest_blob / MB:.0f} MB, file {size / MB:.0f} MB",
            met=peak <= network.largest_blob + 80 * MB,
        )
    ]


def _without_tensorflow(files: Files) -> Goal:
    """Check that a conversion imports neither TensorFlow nor Keras."""
    with tempfile.TemporaryDirectory() as out:
        command = ("convert", files.definition, files.weights, "-o", out)
        told = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "caffe2tf", *command], capture_output=True, text=True, check=True
        ).stderr
    names = {line.rpartition("|")[2].strip() for line in told.splitlines() if line.startswith("import time:")}
    heavy = sorted(name for name in ("tensorflow", "keras") if name in names)
    return Goal(
        promise="TensorFlow is not imported",
        measured=f"{', '.join(heavy) or 'neither TensorFlow nor Keras'} of {len(names)} modules",
        met=len(names) > 100 and not heavy,
    )


@functools.cache
def _no_reflink() -> tuple[str, ...]:
    """Return the option that keeps GNU's cp from sharing blocks; other versions of cp lack it."""
    told = subprocess.run(["cp", "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S607 - PATH
    return ("--reflink=never",) if "GNU" in told else ()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    found = os.environ.get("MNNCONVERT") or shutil.which("mnnconvert")
    parser.add_argument("--mnnconvert", default=found, help="path of MNN's converter")


def main() -> int:
    """Run only this benchmark; return the exit status."""
    options = parse_options(__doc__, add_options)
    return report([measure_conversion(options)], as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
