"""Standard output and standard error that may be full, read-only, broken or closed."""

from __future__ import annotations

import io
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from caffe2tf.errors import OutputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["settle_streams"]


def settle_streams() -> None:
    """Replace both streams by ones that can be written to for the rest of the program.

    - A closed stream discards what is written to it, and so does a standard error that fails.
    - A standard output that fails raises OutputError, or BrokenPipeError if its reader closed the pipe. It does so
      once; what is written afterwards is discarded.
    - Characters that the encoding lacks are escaped.
    - Standard error gets a descriptor of its own, so that it still works while `caffe2tf.quiet` captures descriptor 2.
    - Streams that are not files are left as they are.
    """
    sys.stdout, sys.stderr = _settled(sys.stdout, 1), _settled(sys.stderr, 2)


class _Output(io.FileIO):
    """A standard stream; its descriptor stays open when the object is closed."""

    _failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write ``data``; after the first failure, report it and discard everything that follows."""
        try:
            return memoryview(data).nbytes if self._failed else self._written(data)
        except OSError as error:
            self._failed = True
            self._report(error)
            return self.write(data)

    def _written(self, data: ReadableBuffer) -> int:
        while (count := super().write(data)) is None:  # a full pipe in non-blocking mode
            select.select([], [self], [])
        return count

    def _report(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            raise error
        raise OutputError(
            f"standard output cannot be written to: {error.strerror or error}; redirect it elsewhere"
        ) from error


class _Messages(_Output):
    """A stream whose failures are not reported: there is nowhere to report them."""

    def _report(self, error: OSError) -> None:
        del error


def _settled(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:  # Python's value for a closed stream
        return _text(_Messages(_nowhere(number), "wb", closefd=False), "utf-8", by_line=False)
    if isinstance(getattr(getattr(stream, "buffer", None), "raw", None), _Output):
        return stream  # settled already
    with suppress(OSError):
        stream.flush()
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        return stream
    if number == 2:
        return _text(_Messages(os.dup(descriptor), "wb", closefd=False), stream.encoding, by_line=True)
    by_line = stream.isatty() or bool(getattr(stream, "write_through", False))
    return _text(_Output(descriptor, "wb", closefd=False), stream.encoding, by_line=by_line)


def _text(raw: io.FileIO, encoding: str, *, by_line: bool) -> TextIO:
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors="backslashreplace", line_buffering=by_line)


def _nowhere(number: int) -> int:
    """Return a descriptor of the null device: ``number`` if it is free, so that no file opened later receives it."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    if descriptor == number:
        return number
    try:
        os.fstat(number)
    except OSError:
        os.dup2(descriptor, number)
        os.close(descriptor)
        return number
    return descriptor
