"""The text of a file, with positions for messages."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from itertools import accumulate, count
from operator import add

from caffe2tf.diagnostics import Position
from caffe2tf.errors import ParseError

__all__ = ["TextFile", "repaired"]

_BYTE_ORDER_MARK = "\ufeff"


class TextFile:
    """The decoded text of a file.

    Attributes:
        file: The path, as it was given.
        text: The characters, without a byte order mark.
    """

    def __init__(self, data: bytes, file: str) -> None:
        """Decode `data` as UTF-8; a byte that is not UTF-8 becomes a lone surrogate (see `repaired`)."""
        self.file = file
        self.text = data.decode("utf-8", "surrogateescape").removeprefix(_BYTE_ORDER_MARK)

    @cached_property
    def _line_starts(self) -> list[int]:
        # Before line i are i line ends, and the characters of the lines before it.
        lengths = map(len, self.text.split("\n"))
        return list(map(add, accumulate(lengths, initial=0), count()))

    def position(self, offset: int) -> Position:
        """Return the line and column of the character at `offset`; columns count characters."""
        line = bisect_right(self._line_starts, offset)
        return Position(self.file, line, offset - self._line_starts[line - 1] + 1)

    def error(self, offset: int, what: str) -> ParseError:
        """Return an error to raise; `what` says what is wrong and how to mend it."""
        return ParseError(f"{self.position(offset)}: {what}")


def repaired(text: str) -> str:
    """Return `text` without lone surrogates: if some bytes were not UTF-8, all of it is read as Latin-1 instead."""
    if text.isascii():
        return text
    data = text.encode("utf-8", "surrogateescape")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
