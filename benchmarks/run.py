"""Run all benchmarks; the exit status is 1 if a goal is missed.

    python -m benchmarks.run [--rounds 10] [--mnnconvert PATH] [--folder FOLDER] [--json]

Use the Python of an environment in which caffe2tf is installed, on an otherwise idle machine. The benchmarks need 2 GB
of free disk for networks that are drawn once and kept in FOLDER.
"""

from __future__ import annotations

import sys

from benchmarks.bench_cli import measure_commands
from benchmarks.bench_convert import add_options, measure_conversion
from benchmarks.bench_models import measure_models
from benchmarks.bench_speed import measure_speed
from benchmarks.measure import parse_options, report

__all__ = ["main"]


def main() -> int:
    """Run everything; the models come last, because TensorFlow's memory would count towards later processes."""
    options = parse_options(__doc__, add_options)
    measured = [measure(options) for measure in (measure_commands, measure_conversion, measure_speed, measure_models)]
    return report(measured, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
