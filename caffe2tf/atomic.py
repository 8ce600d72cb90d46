"""Atomic writing of single files: a file appears whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from caffe2tf.errors import OutputError

__all__ = ["atomic_writer", "refuse_null", "refuse_overwriting", "whole_file", "write_text", "write_whole"]


@contextmanager
def whole_file(path: str | os.PathLike[str], *, suffix: str = ".tmp") -> Iterator[Path]:
    """Yield a temporary path in the folder of the target; move it to the target when the block ends.

    If the block raises an exception, the temporary file is removed and the target keeps its content. Symbolic links are
    followed.

    Args:
        path: the target.
        suffix: the suffix of the temporary file, for writers that depend on it.

    Raises:
        OutputError: the target is not a regular file, or cannot be written.
    """
    refuse_null(path)
    try:
        target = Path(os.path.realpath(path))
    except FileNotFoundError as error:  # relative paths need the current folder
        raise OutputError(f"{os.fspath(path)}: the current folder no longer exists; write elsewhere") from error
    _refuse_special(target)
    # Not derived from the target's name, which might become too long.
    temporary = target.with_name(f".caffe2tf-{os.urandom(6).hex()}{suffix}")
    try:
        try:
            yield temporary
            temporary.replace(target)
        finally:
            with suppress(OSError):
                temporary.unlink()  # already moved if the block succeeded
    except OSError as error:  # explained after the cleanup, so that the reported free space is right
        raise _explained(error, target) from error


@contextmanager
def atomic_writer(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Like `whole_file`, but yield the temporary file, open for reading and writing in binary mode.

    The file gets the default permissions of a new file.

    Raises:
        OutputError: as for `whole_file`.
    """
    with whole_file(path) as temporary, temporary.open("x+b") as file:
        yield file


def write_whole(path: str | os.PathLike[str], pieces: Iterable[bytes | memoryview]) -> None:
    """Write `pieces` one after the other to a file, atomically.

    Raises:
        OutputError: as for `whole_file`.
    """
    with atomic_writer(path) as file:
        for piece in pieces:
            file.write(piece)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file atomically, UTF-8 with Unix line endings.

    Raises:
        OutputError: as for `whole_file`.
    """
    write_whole(path, [text.encode()])


def refuse_null(path: str | os.PathLike[str]) -> None:
    """Refuse a path with a null character, for which Python would raise ValueError.

    Raises:
        OutputError: the path contains a null character.
    """
    name = os.fspath(path)
    if "\0" in name:
        raise OutputError(f"{name!r}: the name contains a null character; choose another")


def refuse_overwriting(path: str | os.PathLike[str], sources: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse a target that is one of the files that are read to make it, also through links.

    Args:
        path: the target.
        sources: the files that are read; files that do not exist are ignored.

    Raises:
        OutputError: the target is one of them.
    """
    for source in sources:
        with suppress(OSError, ValueError):  # ValueError: a null character, which is reported when the file is opened
            if Path(path).samefile(source):
                raise OutputError(
                    f"{os.fspath(path)}: this file is read to make the result and would be overwritten; write elsewhere"
                )


def _refuse_special(target: Path) -> None:
    """Refuse directories, which would fail late, and devices such as /dev/null, which would be replaced."""
    try:
        mode = target.stat().st_mode
    except OSError:  # it does not exist; other errors show when the file is created
        return
    if stat.S_ISDIR(mode):
        raise OutputError(f"{target}: this is a directory; give a file name")
    if not stat.S_ISREG(mode):
        raise OutputError(f"{target}: not a regular file; give another name")


def _explained(error: OSError, target: Path) -> OutputError:
    folder = target.parent
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            why = f"no space left on the device{_free(folder)}; free some, or write elsewhere"
        case errno.EFBIG:
            why = "larger than the limit for files (see `ulimit -f`); write elsewhere"
        case errno.EACCES | errno.EPERM:
            why = f"no permission to write in {folder}; write elsewhere"
        case errno.EROFS:
            why = f"{folder} is on a read-only file system; write elsewhere"
        case errno.ENOENT | errno.ENOTDIR:
            why = f"the folder {folder} does not exist; create it first"
        case errno.ENAMETOOLONG:
            why = "the name is too long; choose a shorter one"
        case _:
            why = f"cannot be written: {error.strerror or error}"
    return OutputError(f"{target}: {why}")


def _free(folder: Path) -> str:
    with suppress(OSError):
        return f" ({shutil.disk_usage(folder).free / 1e6:,.0f} MB free)"
    return ""
