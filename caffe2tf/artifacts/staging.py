"""A staging folder: the artifacts of a conversion appear in the output folder together, or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from caffe2tf.artifacts.hashing import hash_file
from caffe2tf.errors import OutputError

__all__ = ["Staging"]


class Staging:
    """A hidden folder inside the output folder, in which artifacts are written; `commit` moves them to their place.

    An artifact is a file or a folder. If the block raises an exception of any kind, the output folder is as it was
    before, and is removed if the block created it.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self._out = Path(out)
        self._names: list[str] = []
        self._made: list[Path] = []  # folders that `__enter__` created, the innermost first

    def __enter__(self) -> Self:
        try:
            missing = [p for p in (self._out, *self._out.absolute().parents) if not p.exists()]
            self._out.mkdir(parents=True, exist_ok=True)
            self._made = missing
            self._stage = Path(tempfile.mkdtemp(prefix=".caffe2tf-", dir=self._out))
        except OSError as e:
            self._remove_folders()
            raise OutputError(
                f"{self._out}: the output folder cannot be written to: {e.strerror or e}; choose another"
            ) from e
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._stage, ignore_errors=True)
        if error is not None:
            self._remove_folders()
        if isinstance(error, OutputError):  # its message has the path in the hidden folder
            raise OutputError(str(error).replace(str(self._stage), str(self._out))) from error

    def path(self, name: str, *, folder: bool = False) -> Path:
        """Return the path at which to write the artifact called ``name``.

        Args:
            name: its name in the output folder.
            folder: whether it is a folder. The writer creates it.

        Raises:
            OutputError: something of another type has this name: a folder instead of a file, or the reverse.
        """
        target = self._out / name
        if target.exists() and not (target.is_dir() if folder else target.is_file()):
            kind = "folder" if folder else "file"
            raise OutputError(f"{target}: this is not a {kind}, but a {kind} must be written here; move it away")
        self._names.append(name)
        return self._stage / name

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lock the output folder, if the system can, so that conversions update shared files one after the other."""
        if sys.platform == "win32":
            yield
            return
        import fcntl  # noqa: PLC0415 - Windows does not have it

        descriptor = os.open(self._out, os.O_RDONLY)
        try:
            with suppress(OSError):  # some file systems have no locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)  # this releases the lock

    def commit(self, known: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Move all artifacts to their place.

        Args:
            known: SHA-256 of files, by name, that need not be computed.

        Returns:
            For each artifact, the SHA-256 of its files. Files are named relative to the output folder, with ``/``.

        Raises:
            OutputError: an artifact cannot be moved. Then none is, and the output folder is as it was before.
        """
        digests = {name: self._digests(name, known) for name in self._names}
        moved: list[str] = []
        try:
            for name in self._names:  # a rename needs no space, and `path` has checked what is in the way
                moved.append(name)
                self._set_aside(name)
                (self._stage / name).replace(self._out / name)
        except BaseException as e:
            for name in reversed(moved):
                self._put_back(name)
            if isinstance(e, OSError):
                raise OutputError(f"{self._out / moved[-1]}: cannot be replaced: {e.strerror or e}") from e
            raise
        self._made = []
        return digests

    def _digests(self, name: str, known: Mapping[str, str]) -> dict[str, str]:
        staged = self._stage / name
        if not staged.is_dir():
            return {name: known.get(name) or hash_file(staged)}
        files = sorted(path for path in staged.rglob("*") if path.is_file())
        return {path.relative_to(self._stage).as_posix(): hash_file(path) for path in files}

    def _set_aside(self, name: str) -> None:
        """Keep what is at the place of an artifact, until all artifacts are moved."""
        place, kept = self._out / name, self._kept(name)
        if place.is_dir():  # a folder, or a link to one, has no second name and cannot be replaced
            place.rename(kept)
            return
        with suppress(FileNotFoundError):
            try:
                kept.hardlink_to(place)
            except FileNotFoundError:
                raise
            except OSError:  # some file systems have no links
                place.rename(kept)

    def _put_back(self, name: str) -> None:
        place, staged, kept = self._out / name, self._stage / name, self._kept(name)
        if place.is_dir() and not place.is_symlink() and not staged.exists():  # a new folder, which was moved
            place.rename(staged)
        if kept.exists():
            kept.replace(place)
        elif not staged.exists():  # a new file, which was moved to a place that was free
            place.unlink(missing_ok=True)

    def _kept(self, name: str) -> Path:
        return self._stage / f"{name}.before"

    def _remove_folders(self) -> None:
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:  # somebody else put something there meanwhile
                return
