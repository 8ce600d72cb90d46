"""Files that are there whole or not at all."""

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
    """A path beside ``path`` for the block to write a file to, which takes the place of ``path`` when it ends well.

    When the block is left by an exception of any kind, that file is removed and the target keeps its old content. A
    link is followed.

    Args:
        path: the target.
        suffix: what the file beside it is to end in, for writers that look at that.

    Raises:
        OutputError: the target is not a plain file, or the system refuses to write it.
    """
    refuse_null(path)
    try:
        target = Path(os.path.realpath(path))
    except FileNotFoundError as error:  # a name is looked up in the current folder
        raise OutputError(f"{os.fspath(path)}: the current folder is not there any more; write elsewhere") from error
    _refuse_special(target)
    # A short name of its own: adding to the target's name could make it too long.
    temporary = target.with_name(f".caffe2tf-{os.urandom(6).hex()}{suffix}")
    try:
        try:
            yield temporary
            temporary.replace(target)
        finally:
            with suppress(OSError):
                temporary.unlink()  # gone already when all went well
    except OSError as error:  # explained last, when the file no longer takes up space
        raise _explained(error, target) from error


@contextmanager
def atomic_writer(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A `whole_file`, open for reading and writing in binary; its ``name`` is that of the file beside the target.

    The file gets the permissions that any new file gets.

    Raises:
        OutputError: as for `whole_file`.
    """
    with whole_file(path) as temporary, temporary.open("x+b") as file:
        yield file


def write_whole(path: str | os.PathLike[str], pieces: Iterable[bytes | memoryview]) -> None:
    """Writes `pieces` one after the other to a file, whole or not at all.

    Raises:
        OutputError: as for `whole_file`.
    """
    with atomic_writer(path) as file:
        for piece in pieces:
            file.write(piece)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file, UTF-8 with Unix line ends, whole or not at all.

    Raises:
        OutputError: as for `whole_file`.
    """
    write_whole(path, [text.encode()])


def refuse_null(path: str | os.PathLike[str]) -> None:
    """Refuses a name that no system takes, and that Python answers with an error of another kind.

    Raises:
        OutputError: there is a null character in it.
    """
    name = os.fspath(path)
    if "\0" in name:
        raise OutputError(f"{name!r}: cannot be written: there is a null character in the name; choose another")


def refuse_overwriting(path: str | os.PathLike[str], sources: Iterable[str | os.PathLike[str]]) -> None:
    """Refuses a target that is one of the files that it is made from, by whatever name.

    Args:
        path: the target.
        sources: what is read; names of files that are not there are passed over.

    Raises:
        OutputError: the target is one of them.
    """
    for source in sources:
        with suppress(OSError, ValueError):  # ValueError: a null character, told when the file is opened
            if Path(path).samefile(source):
                raise OutputError(
                    f"{os.fspath(path)}: this is read to make the result, and would be written over; write elsewhere"
                )


def _refuse_special(target: Path) -> None:
    """Replacing a directory would fail late, replacing a device (/dev/null) would succeed."""
    try:
        mode = target.stat().st_mode
    except OSError:  # not there, which is well; anything else shows when the file is created
        return
    if stat.S_ISDIR(mode):
        raise OutputError(f"{target}: is a directory; name a file")
    if not stat.S_ISREG(mode):
        raise OutputError(f"{target}: is not a plain file; name another file")


def _explained(error: OSError, target: Path) -> OutputError:
    folder = target.parent
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            why = f"no space left on the device{_free(folder)}; free some, or write elsewhere"
        case errno.EFBIG:
            why = "larger than files may be here (see `ulimit -f`); write elsewhere"
        case errno.EACCES | errno.EPERM:
            why = f"no permission to write in {folder}; write elsewhere"
        case errno.EROFS:
            why = f"{folder} is on a read-only file system; write elsewhere"
        case errno.ENOENT | errno.ENOTDIR:
            why = f"there is no folder {folder}; create it first"
        case errno.ENAMETOOLONG:
            why = "the name is too long; choose a shorter one"
        case _:
            why = f"cannot be written: {error.strerror or error}"
    return OutputError(f"{target}: {why}")


def _free(folder: Path) -> str:
    with suppress(OSError):
        return f" ({shutil.disk_usage(folder).free / 1e6:,.0f} MB free)"
    return ""
