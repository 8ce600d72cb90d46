"""The contract of artifacts: what a kind is, what its writer does, and the record of what was written."""

from __future__ import annotations

import abc
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from caffe2tf.artifacts.hashing import HashJob
    from caffe2tf.emit import Plan
    from caffe2tf.ir.weight import Weight

__all__ = ["Artifact", "Job", "Kind", "Role", "Writer"]

Role = Literal["code", "weights", "model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One result of a conversion.

    Attributes:
        kind: name of its kind, as in the table of kinds.
        path: the file, or the folder of an artifact that consists of several files.
        files: SHA-256 of each file, as 64 hexadecimal digits.
    """

    kind: str
    path: Path
    files: Mapping[Path, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of artifact: one line of the table in `caffe2tf.artifacts.kinds`.

    Attributes:
        name: what users call it, in ``convert(weights_format=...)`` for instance.
        suffixes: how names of such artifacts end. The first is written; all are recognised when a file is read.
        help: one line for users.
        writer: the module whose ``WRITER`` writes it. It is imported when such an artifact is written.
        role: ``code`` is written by every conversion, ``weights`` is a choice of the user's weight format, ``model``
            is anything else.
        folder: whether the artifact is a folder, not a file.
        needs_tensorflow: whether writing it imports TensorFlow.
        loadable: whether the function ``load_weights`` of emitted modules reads it.
        file_name: the name of the artifact, if it is not the name of the network with a suffix.
        shared: whether other networks in the same folder use the same file. It is then written while the folder is
            locked, so that the writer can add to what another conversion has written.
    """

    name: str
    suffixes: tuple[str, ...]
    help: str
    writer: str
    role: Role
    folder: bool = False
    needs_tensorflow: bool = False
    loadable: bool = False
    file_name: str = ""
    shared: bool = False

    @property
    def suffix(self) -> str:
        """The suffix that is written."""
        return self.suffixes[0]

    def name_for(self, plan: Plan) -> str:
        """Return the file name of this artifact of a network."""
        return self.file_name or f"{plan.module_name}{self.suffix}"

    def load_writer(self) -> Writer:
        """Import the writer."""
        writer: Writer = importlib.import_module(self.writer).WRITER
        return writer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """What a writer works on.

    Attributes:
        plan: the prepared plan.
        weights: the weights by Keras layer and weight name, as views of the files that were read.
        folder: the folder in which the artifact appears in the end.
        sources: (name, digest in progress) of each file that the plan was made from.
        progress: called with the number of bytes written since the last call; None if nobody asks.
    """

    plan: Plan
    weights: Mapping[str, Mapping[str, Weight]]
    folder: Path
    sources: Sequence[tuple[str, HashJob]] = ()
    progress: Callable[[int], None] | None = None


class Writer(abc.ABC):
    """Writes one kind of artifact. The module of a kind offers an instance as ``WRITER``."""

    def applies(self, plan: Plan) -> bool:
        """Return whether the network has such an artifact; one without weights has no weight file, for example."""
        del plan
        return True

    def keeps(self, plan: Plan, target: Path) -> bool:
        """Return whether ``target`` exists and must stay as it is.

        Without a check of its own, a kind relies on the check of `write_artifacts`: an artifact is only replaced if the
        emitted module is next to it.

        Raises:
            OutputError: something that no conversion wrote is in the way.
        """
        del plan, target
        return False

    def size(self, job: Job) -> int:
        """Return how many bytes `write` reports to ``job.progress`` in all."""
        del job
        return 0

    @abc.abstractmethod
    def write(self, job: Job, target: Path) -> str | None:
        """Write the artifact, whole or not at all.

        Args:
            job: what to write.
            target: the file or folder to create. It is in a staging folder, from which it is moved to its place when
                all artifacts are complete. Nothing else may be written.

        Returns:
            The SHA-256 of the file if it is known; None lets the caller compute it.

        Raises:
            OutputError: it cannot be written.
        """
