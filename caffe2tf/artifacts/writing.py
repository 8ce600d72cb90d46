"""Writes the chosen artifacts of a plan to a folder, together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from caffe2tf.artifacts.code.existing import refuse_unaccompanied
from caffe2tf.artifacts.contract import Artifact, Job, Kind, Writer
from caffe2tf.artifacts.hashing import HashJob, hash_file
from caffe2tf.artifacts.kinds import kinds_of
from caffe2tf.artifacts.staging import Staging
from caffe2tf.artifacts.weights.weight_file import running_total
from caffe2tf.atomic import refuse_null, refuse_overwriting
from caffe2tf.emit import Plan

__all__ = ["write_artifacts"]


def write_artifacts(
    plan: Plan,
    folder: Path,
    kinds: Sequence[Kind],
    *,
    sources: Sequence[tuple[Path, HashJob]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Artifact, ...]:
    """Write the code of a network, and the given kinds of artifacts.

    Args:
        plan: what to write.
        folder: where to write; created if it does not exist. It may hold other networks.
        kinds: what to write besides the code; kinds that the network does not have are skipped.
        sources: the files that the plan was made from, and their digests, which are computed meanwhile.
        progress: called with (bytes written, bytes in all).

    Returns:
        What was written: the code first, then the given kinds.

    Raises:
        OutputError: an artifact cannot be written, or would replace a file that no conversion wrote. The folder is then
            as it was before.
    """
    refuse_null(folder)
    chosen = [(kind, kind.load_writer()) for kind in (*kinds_of("code"), *kinds)]
    pieces = [_Piece.of(kind, writer, plan, folder) for kind, writer in chosen if writer.applies(plan)]
    module, *_ = pieces
    refuse_unaccompanied(module.path, [piece.path for piece in pieces if piece.kind.role != "code"])
    for piece in pieces:
        refuse_overwriting(piece.path, [path for path, _ in sources])
    named = [(path.name, digest) for path, digest in sources]
    job = Job(plan=plan, weights=plan.weights(), folder=folder, sources=named)
    step = running_total(progress, sum(piece.writer.size(job) for piece in pieces))
    return _write(pieces, replace(job, progress=step))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """One artifact to write.

    Attributes:
        kind: its kind.
        writer: the writer of this kind.
        path: its place in the output folder.
        kept: whether what is there stays as it is.
    """

    kind: Kind
    writer: Writer
    path: Path
    kept: bool

    @classmethod
    def of(cls, kind: Kind, writer: Writer, plan: Plan, folder: Path) -> Self:
        path = folder / kind.name_for(plan)
        return cls(kind=kind, writer=writer, path=path, kept=writer.keeps(plan, path))

    def artifact(self, files: Mapping[str, str]) -> Artifact:
        found = {self.path.parent / name: digest for name, digest in files.items()}
        return Artifact(kind=self.kind.name, path=self.path, files=found)


def _write(pieces: Sequence[_Piece], job: Job) -> tuple[Artifact, ...]:
    known: dict[str, str] = {}
    first = [piece for piece in reversed(pieces) if not (piece.kept or piece.kind.shared)]  # the code comes last
    shared = [piece for piece in pieces if piece.kind.shared]
    with Staging(job.folder) as staging:

        def write(piece: _Piece) -> None:
            name = piece.path.name
            digest = piece.writer.write(job, staging.path(name, folder=piece.kind.folder))
            known.update({name: digest} if digest is not None else {})

        for piece in first:
            write(piece)
        with staging.alone():
            for piece in shared:
                write(piece)
            files = staging.commit(known)
    kept = {piece.path.name: {piece.path.name: hash_file(piece.path)} for piece in pieces if piece.kept}
    return tuple(piece.artifact((files | kept)[piece.path.name]) for piece in pieces)
