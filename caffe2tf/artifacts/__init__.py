"""Artifacts: the results of a conversion, written to a folder together or not at all.

`KINDS` is the table of everything that can be written. `write_artifacts` writes the chosen kinds for a plan. The names
below are imported when they are first used, because the command line hashes files (`hashing`) and shows its help
(`kinds`) before it imports NumPy and the rest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caffe2tf.artifacts.building import build_model
    from caffe2tf.artifacts.contract import Artifact, Job, Kind, Writer
    from caffe2tf.artifacts.importing import import_emitted, load_emitted
    from caffe2tf.artifacts.kinds import KINDS
    from caffe2tf.artifacts.running import run_model
    from caffe2tf.artifacts.weights.weight_file import running_total, write_weights
    from caffe2tf.artifacts.writing import write_artifacts

__all__ = [
    "KINDS",
    "Artifact",
    "Job",
    "Kind",
    "Writer",
    "build_model",
    "import_emitted",
    "load_emitted",
    "run_model",
    "running_total",
    "write_artifacts",
    "write_weights",
]

_HOMES = {
    "KINDS": "kinds",
    "Artifact": "contract",
    "Job": "contract",
    "Kind": "contract",
    "Writer": "contract",
    "build_model": "building",
    "import_emitted": "importing",
    "load_emitted": "importing",
    "run_model": "running",
    "running_total": "weights.weight_file",
    "write_artifacts": "writing",
    "write_weights": "weights.weight_file",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
