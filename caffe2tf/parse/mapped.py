"""Memory-mapped files, and errors that say what a wrong file is."""

from __future__ import annotations

import mmap
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from caffe2tf.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["MappedFile", "is_hdf5", "map_file", "require_binary", "require_readable"]

_HDF5_MAGIC: Final = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSETS: Final = (0, 512, 1024, 2048)  # after a user block, the signature starts at a power of two
_FOREIGN: Final = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: run `git lfs pull` to fetch it"),
    (b"<!doctype html", "a web page, probably left by a failed download: download the file again"),
    (b"<html", "a web page, probably left by a failed download: download the file again"),
    (b"\x93numpy", "a NumPy array"),
    (b"pk\x03\x04", "a zip archive (.npz, .keras, .pth and .zip are): unpack it if the file is inside"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"bzh", "compressed with bzip2: unpack it first"),
    (b"\xfd7zxz", "compressed with xz: unpack it first"),
    (b"\x80\x02", "a Python pickle"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MappedFile:
    """A regular, non-empty file, mapped read-only. Call `close` when its arrays are no longer needed.

    Attributes:
        path: The file.
        map: Its bytes.
    """

    path: Path
    map: mmap.mmap = field(repr=False)

    def release(self) -> None:
        """Release the memory of all pages. Values that are read later are read from the file again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Unmap the file. If arrays still view it, it is unmapped when the last of them is deleted."""
        with suppress(BufferError):
            self.map.close()


def map_file(path: Path, *, what: str, suffixes: tuple[str, ...]) -> MappedFile:
    """Map a file into memory.

    Args:
        path: The file.
        what: What the file should be, such as "trained weights"; for messages.
        suffixes: Endings of such files. If `path` is a directory, the message lists the files with these endings.

    Raises:
        ParseError: The file is missing, not a regular file, empty, or cannot be read.
    """
    with _readable(path, what):
        _require_regular(path, what, suffixes)
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise ParseError(f"{path}: the file is empty; copy or download the {what} again")
            return MappedFile(path=path, map=mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def require_readable(path: Path, *, what: str, suffixes: tuple[str, ...]) -> None:
    """Raise the errors of `map_file` for a file that another library will read; an empty file is not an error.

    Raises:
        ParseError: The file is missing, not a regular file, or cannot be read.
    """
    with _readable(path, what):
        _require_regular(path, what, suffixes)
        path.open("rb").close()


def _require_regular(path: Path, what: str, suffixes: tuple[str, ...]) -> None:
    mode = path.stat().st_mode  # before it is opened, because opening a pipe could block forever
    if stat.S_ISDIR(mode):
        raise ParseError(_directory(path, what, suffixes))
    if not stat.S_ISREG(mode):
        raise ParseError(f"{path}: not a regular file; copy it to one first")


def is_hdf5(buffer: bytes | mmap.mmap) -> bool:
    """Return whether the bytes have the signature of HDF5."""
    return any(buffer[at : at + len(_HDF5_MAGIC)] == _HDF5_MAGIC for at in _HDF5_OFFSETS)


def require_binary(file: MappedFile, *, instead: str) -> None:
    """Raise an error for text and for files of other programs.

    Args:
        file: The file.
        instead: What to pass instead; the end of the message.

    Raises:
        ParseError: The file is text, or has the signature of another format.
    """
    head = file.map[:1024]
    lowered = head.lstrip().lower()
    for magic, meaning in _FOREIGN:
        if lowered.startswith(magic):
            raise ParseError(f"{file.path}: this is {meaning}; {instead}")
    # A message with a layer has a length or tag that is a control character. Text has no such characters.
    if not any(byte < 0x20 and byte not in b"\t\n\r\f" for byte in head):
        kind = "a network definition (prototxt)" if b"layer" in file.map[: 1 << 20] else "a text file"
        raise ParseError(f"{file.path}: this is {kind}; {instead}")


@contextmanager
def _readable(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ParseError(f"{path}: no such file; check the path of the {what}") from None
    except (OSError, ValueError) as error:  # ValueError: the path has a null character
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ParseError(f"{path}: the {what} cannot be read: {reason}") from None


def _directory(path: Path, what: str, suffixes: tuple[str, ...]) -> str:
    inside = sorted(entry.name for entry in path.iterdir() if entry.name.endswith(suffixes))
    listed = f"; it contains {', '.join(inside[:5])}" if inside else ""
    return f"{path}: this is a directory, but the {what} must be a file{listed}"
