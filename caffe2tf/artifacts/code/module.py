"""Writes the emitted module: the Keras source of the network."""

from __future__ import annotations

from pathlib import Path

from caffe2tf.artifacts.code.existing import refuse_foreign
from caffe2tf.artifacts.contract import Job, Writer
from caffe2tf.atomic import write_text
from caffe2tf.emit import Plan

__all__ = ["WRITER"]


class ModuleWriter(Writer):
    """Writes ``<net>.py``, whose docstring names the files it was made from and their digests."""

    def keeps(self, plan: Plan, target: Path) -> bool:
        """Never keep an emitted module; refuse to replace any other file."""
        del plan
        refuse_foreign(target)
        return False

    def write(self, job: Job, target: Path) -> None:
        """Write the module, once the digests of its sources are known."""
        plan = job.plan.with_digests([(name, digest.result()) for name, digest in job.sources])
        write_text(target, plan.module_source)


WRITER = ModuleWriter()
