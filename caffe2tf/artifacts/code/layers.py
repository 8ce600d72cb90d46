"""Writes ``caffe_layers.py``: the layers that Keras lacks, for all networks of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caffe2tf.artifacts.code.existing import read_existing
from caffe2tf.artifacts.contract import Job, Writer
from caffe2tf.atomic import write_text
from caffe2tf.diagnostics import Hint
from caffe2tf.emit import Plan, extract_runtime, listed_classes, runtime_names
from caffe2tf.errors import OutputError

__all__ = ["WRITER", "layers_source"]


class LayersWriter(Writer):
    """Writes the layers of this network, and keeps those that other networks in the folder need."""

    def applies(self, plan: Plan) -> bool:
        """Return whether the network needs such layers."""
        return plan.runtime_source is not None

    def keeps(self, plan: Plan, target: Path) -> bool:
        """Never keep the file as it is; refuse early what `write` would refuse."""
        layers_source(target, plan.runtime_classes)
        return False

    def write(self, job: Job, target: Path) -> None:
        """Write the layers. The folder is locked meanwhile, so no other conversion changes the file."""
        write_text(target, layers_source(job.folder / target.name, job.plan.runtime_classes))


def layers_source(path: Path, classes: Sequence[str]) -> str:
    """Return the text of ``caffe_layers.py`` for a network that uses ``classes`` and for those in the folder already.

    Args:
        path: the file; the layers that it has for other networks are kept.
        classes: the layers that this network uses.

    Raises:
        OutputError: no conversion wrote the file, or it has layers of a plugin that is not loaded.
    """
    text = read_existing(path)
    before = listed_classes(text) if text is not None else []
    if before is None:
        raise OutputError(f"{path}: this file was not written by caffe2tf; move it away or choose another folder")
    lost = sorted(set(before) - runtime_names()) if before else []  # collecting all names takes time
    if lost:
        raise OutputError(
            f"{path}: another network in this folder needs {', '.join(lost)}, which come from a plugin or another "
            "version; load the plugin or choose another folder",
            hint=Hint.PLUGIN,
        )
    return extract_runtime([*classes, *before])


WRITER = LayersWriter()
