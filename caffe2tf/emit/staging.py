"""The files of a conversion appear in their folder together, when all of them are whole, or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from caffe2tf.diagnostics import Hint
from caffe2tf.emit.hashing import hash_file
from caffe2tf.emit.module import is_emitted
from caffe2tf.emit.names import RUNTIME_MODULE
from caffe2tf.emit.runtime_source import extract_runtime, listed_classes, runtime_names
from caffe2tf.emit.stub_source import is_stubs
from caffe2tf.errors import OutputError

__all__ = ["RUNTIME_FILE", "Staging", "has_own_stubs", "refuse_foreign", "runtime_for"]

RUNTIME_FILE = f"{RUNTIME_MODULE}.py"


class Staging:
    """A hidden folder inside the output folder, in which files are written; `commit` puts them in their places.

    When the block is left by an exception of any kind, the output folder is as it was, or is not there if it was not.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self._out = Path(out)
        self._names: list[str] = []
        self._made: list[Path] = []  # folders that were not there, the innermost first

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
        if isinstance(error, OutputError):  # which names the file under its hidden name
            raise OutputError(str(error).replace(str(self._stage), str(self._out))) from error

    def path(self, name: str) -> Path:
        """Where to write the file that will be called ``name``.

        Raises:
            OutputError: something other than a file has this name.
        """
        target = self._out / name
        if target.exists() and not target.is_file():
            raise OutputError(f"{target}: this is no file, and stands where one must be written; move it away")
        self._names.append(name)
        return self._stage / name

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other conversions out of the folder, where the system can: they share the file of runtime layers."""
        if sys.platform == "win32":
            yield
            return
        import fcntl  # noqa: PLC0415 - there is none on Windows

        descriptor = os.open(self._out, os.O_RDONLY)
        try:
            with suppress(OSError):  # file systems without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)  # and the lock is gone

    def commit(self, known: Mapping[str, str]) -> dict[str, str]:
        """Moves all files to their places; gives the SHA-256 of each by name, of which some are ``known``.

        Raises:
            OutputError: one cannot be moved; then none is, and what lay in the folder is there again.
        """
        digests = {name: known.get(name) or hash_file(self._stage / name) for name in self._names}
        moved: list[str] = []
        try:
            for name in self._names:  # a rename needs no space, and what could be in its way was looked for in `path`
                moved.append(name)
                self._keep(name)
                (self._stage / name).replace(self._out / name)
        except BaseException as e:
            for name in reversed(moved):
                self._put_back(name)
            if isinstance(e, OSError):
                raise OutputError(f"{self._out / name}: cannot be replaced: {e.strerror or e}") from e
            raise
        self._made = []
        return digests

    def _keep(self, name: str) -> None:
        """Gives what lies at a file's place a second name, for as long as the files are being moved."""
        place, kept = self._out / name, self._kept(name)
        with suppress(FileNotFoundError):
            try:
                kept.hardlink_to(place)
            except FileNotFoundError:
                raise
            except OSError:  # file systems without links
                place.rename(kept)

    def _put_back(self, name: str) -> None:
        if self._kept(name).exists():
            self._kept(name).replace(self._out / name)
        elif not (self._stage / name).exists():  # it was moved to a place where there was none
            (self._out / name).unlink(missing_ok=True)

    def _kept(self, name: str) -> Path:
        return self._stage / f"{name}.before"

    def _remove_folders(self) -> None:
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:  # something else is in it by now
                return


def refuse_foreign(module: Path, weights: Path | None) -> None:
    """Refuses to write over files that are not of our making.

    Raises:
        OutputError: ``module`` is there and was not written by a conversion; or ``weights`` is, without a module.
    """
    text = _read(module)
    if text is not None and is_emitted(text):
        return
    if text is not None:
        raise OutputError(f"{module}: this file was not written by caffe2tf; move it away or choose another folder")
    if weights is not None and weights.exists():
        raise OutputError(
            f"{weights}: this would be written over, and {module.name}, which a conversion writes beside it, is not "
            "there: so it is of other making; move it away or choose another folder"
        )


def has_own_stubs(path: Path, source: str | None) -> bool:
    """Whether stubs that the user has worked on lie at ``path``, so that ``source`` must not be written over them.

    Raises:
        OutputError: the file there never was one of stubs.
    """
    text = _read(path)
    if text is None or text == source:
        return False
    if not is_stubs(text):
        raise OutputError(f"{path}: this file holds no stubs of caffe2tf; move it away or choose another folder")
    return True


def runtime_for(path: Path, classes: Sequence[str]) -> str:
    """The text of ``caffe_layers.py`` for a network that uses ``classes``, and for those that lie there already.

    Args:
        path: the file; what it holds for other networks is kept.
        classes: what this network uses.

    Raises:
        OutputError: the file is not of our making, or holds layers of a plugin that is not loaded.
    """
    text = _read(path)
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


def _read(path: Path) -> str | None:
    """The text of a file; None where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        return None  # told by `Staging.path`
    except OSError as e:
        raise OutputError(f"{path}: what lies here cannot be read: {e.strerror or e}; choose another folder") from e
