"""Tokens of the protobuf text format."""

from __future__ import annotations

import re
from typing import NamedTuple

from caffe2tf.parse.text_file import TextFile, repaired

__all__ = ["CLOSERS", "NAME", "OPEN", "STATEMENT", "WORD", "Cursor", "Value"]

CLOSERS = {"{": "}", "<": ">"}

# One match per field: space and comments, then either a name with an opening brace or a plain value, or a closing
# brace. If only the name matches (lastindex is NAME), something rarer follows. Every quantifier is possessive, so that
# matching takes linear time.
STATEMENT = re.compile(
    r"""
    (?: [ \t\r\n\f\v,;]++ | \#[^\n]*+ )*+
    (?:
        ( [A-Za-z_]\w*+ | \[[A-Za-z_][\w./-]*+\] )              # 1 NAME
        (?: [ \t\r\n\f\v]*+ :?+ [ \t\r\n\f\v]*+ ([{<])          # 2 OPEN
          | [ \t\r\n\f\v]*+ : [ \t\r\n\f\v]*+
            (?: "([^"\\\n]*+)" (?! [ \t\r\n\f\v]*+ ["'\#] )      # 3 a string that is not followed by another
              | '([^'\\\n]*+)' (?! [ \t\r\n\f\v]*+ ["'\#] )      # 4
              | ([-+]?+[\w.][\w.+-]*+) (?! ["'] ) )             # 5 WORD
        )?+
      | ([}>])                                                  # 6 closing
    )?+
    """,
    re.VERBOSE | re.ASCII,
)
NAME, OPEN, WORD = 1, 2, 5

_SPACE = re.compile(r"(?:[ \t\r\n\f\v]++|#[^\n]*+)*+")
_NAME = re.compile(r"[A-Za-z_]\w*+|\[[A-Za-z_][\w./-]*+\]", re.ASCII)
_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*+\"|'(?:[^'\\\n]|\\.)*+'")
_WORD = re.compile(r"([-+]?+)[ \t]*+([\w.][\w.+-]*+)", re.ASCII)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_THEMSELVES = b"\\'\"?"


class Value(NamedTuple):
    """One scalar: its text without quotes, whether it was quoted, and its offsets in the text."""

    text: str
    quoted: bool
    start: int
    end: int


class Cursor:
    """A place in a text that moves forward token by token. Its errors are `ParseError`s with that place."""

    def __init__(self, file: TextFile) -> None:
        """Start at the first character."""
        self.file = file
        self.text = file.text
        self.offset = 0

    def peek(self) -> str:
        """Skip space and comments, and return the next character; "" at the end of the text."""
        found = _SPACE.match(self.text, self.offset)
        self.offset = found.end() if found else self.offset
        return self.text[self.offset : self.offset + 1]

    def take(self, character: str) -> bool:
        """Skip `character` if it comes next, and return whether it does."""
        if self.peek() != character:
            return False
        self.offset += 1
        return True

    def skip_separator(self) -> None:
        """Skip the separators that may follow a field."""
        while self.peek() in (",", ";"):
            self.offset += 1

    def name(self) -> str:
        """Return the name of a field, and move behind it."""
        self.peek()
        found = _NAME.match(self.text, self.offset)
        if found is None:
            raise self.unexpected("the name of a field")
        self.offset = found.end()
        return found[0]

    def value(self) -> Value:
        """Return a scalar, and move behind it: a word, a number, or one or more adjacent strings."""
        if self.peek() in ('"', "'"):
            return self._strings()
        found = _WORD.match(self.text, self.offset)
        if found is None:
            raise self.unexpected("a value")
        self.offset = found.end()
        return Value(found[1] + found[2], quoted=False, start=found.start(), end=found.end())

    def _strings(self) -> Value:
        start = end = self.offset
        parts = []
        while self.peek() in ('"', "'"):
            found = _STRING.match(self.text, self.offset)
            if found is None:
                raise self.file.error(self.offset, "this string does not end on its line; add the closing quote")
            parts.append(self._unescaped(found[0][1:-1]))
            self.offset = end = found.end()
        return Value(text="".join(parts), quoted=True, start=start, end=end)

    def _unescaped(self, text: str) -> str:
        if "\\" not in text:
            return text
        try:
            data = _ESCAPE.sub(_unescape, text.encode("utf-8", "surrogateescape"))
        except (ValueError, OverflowError):
            raise self.file.error(
                self.offset, "this string has an escape sequence that is not a character; correct it"
            ) from None
        return data.decode("utf-8", "surrogateescape")

    def unexpected(self, wanted: str) -> Exception:
        """Return the error for text at the cursor that is not `wanted`."""
        character = self.peek()
        if not character:
            return self.file.error(self.offset, f"expected {wanted}, but the file ends here; is it complete?")
        return self.file.error(self.offset, f"expected {wanted}, not {repaired(character)!r}")


def _unescape(found: re.Match[bytes]) -> bytes:
    octal, hexadecimal, short, long, letter = found.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    if short or long:
        return chr(int(short or long, 16)).encode("utf-8")
    # An unknown escape is kept with its backslash, so that paths written on Windows stay as they are.
    return _LETTERS.get(letter, letter if letter in _THEMSELVES else found[0])
