"""Standard output and standard error as a shell may leave them: full, read-only, broken or closed."""

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
    """Makes both of them streams that can be written to, for the rest of the program.

    Where one is closed, what is written to it goes nowhere, and so it does where standard error refuses it. A standard
    output that does so raises an OutputError, or BrokenPipeError where its reader has seen enough: once, and then takes
    the rest without a word. Names may hold what the encoding lacks. Standard error gets a descriptor of its own, which
    stays where it is while native code is kept from writing to it. Streams that are no files are left as they are.
    """
    sys.stdout, sys.stderr = _settled(sys.stdout, 1), _settled(sys.stderr, 2)


class _Output(io.FileIO):
    """A standard stream's descriptor, which stays open."""

    _failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Writes as any file does, until that fails; then tells so, and takes all that follows without writing it."""
        try:
            return memoryview(data).nbytes if self._failed else self._written(data)
        except OSError as error:
            self._failed = True
            self._tell(error)
            return self.write(data)

    def _written(self, data: ReadableBuffer) -> int:
        while (count := super().write(data)) is None:  # the pipe is full, and whoever made it has it not wait
            select.select([], [self], [])
        return count

    def _tell(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            raise error
        raise OutputError(
            f"standard output cannot be written to: {error.strerror or error}; send it elsewhere"
        ) from error


class _Messages(_Output):
    """The same, and no failure is told: there is nowhere to tell it."""

    def _tell(self, error: OSError) -> None:
        del error


def _settled(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:  # Python's word for one that is closed
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
    """A descriptor of the null device: ``number`` if it is free, so that no file that is opened later gets it."""
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
