"""Writes the stubs: classes for the user to fill in, one for each unknown layer type."""

from __future__ import annotations

from pathlib import Path

from caffe2tf.artifacts.code.existing import read_existing
from caffe2tf.artifacts.contract import Job, Writer
from caffe2tf.atomic import write_text
from caffe2tf.emit import Plan, is_stubs
from caffe2tf.errors import OutputError

__all__ = ["WRITER", "has_own_stubs"]


class StubsWriter(Writer):
    """Writes ``<net>_stubs.py``, and never overwrites the user's work in it."""

    def applies(self, plan: Plan) -> bool:
        """Return whether the network has layers of unknown type."""
        return plan.stubs_source is not None

    def keeps(self, plan: Plan, target: Path) -> bool:
        """Keep stubs that the user has edited."""
        return has_own_stubs(target, plan.stubs_source)

    def write(self, job: Job, target: Path) -> None:
        """Write the stubs."""
        write_text(target, job.plan.stubs_source or "")


def has_own_stubs(path: Path, source: str | None) -> bool:
    """Return whether ``path`` holds stubs that differ from ``source``, because the user has edited them.

    Raises:
        OutputError: the file does not hold stubs.
    """
    text = read_existing(path)
    if text is None or text == source:
        return False
    if not is_stubs(text):
        raise OutputError(f"{path}: this file holds no stubs of caffe2tf; move it away or choose another folder")
    return True


WRITER = StubsWriter()
