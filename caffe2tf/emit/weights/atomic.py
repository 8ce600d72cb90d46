"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from caffe2tf.errors import OutputError

__all__ = ["atomic_writer", "write_text"]


@contextmanager
def atomic_writer(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file, open for reading and writing, that takes the place of ``path`` when the block ends well.

    It is written beside its target under another name, which is the file's ``name``. When the block is left by an
    exception of any kind, that file is removed and the target keeps its old content. A link is followed. The file
    gets the permissions that any new file gets.

    Raises:
        OutputError: the target is not a plain file, or the system refuses to write it.
    """
    target = Path(os.path.realpath(path))
    _refuse_special(target)
    # A short name of its own: adding to the target's name could make it too long.
    temporary = target.with_name(f".caffe2tf-{secrets.token_hex(6)}.tmp")
    try:
        try:
            with temporary.open("x+b") as file:
                yield file
            temporary.replace(target)
        finally:
            with suppress(OSError):
                temporary.unlink()  # gone already when all went well
    except OSError as error:  # explained last, when the file no longer takes up space
        raise _explained(error, target) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file, UTF-8 with Unix line ends, whole or not at all.

    Raises:
        OutputError: as for `atomic_writer`.
    """
    with atomic_writer(path) as file:
        file.write(text.encode())


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
