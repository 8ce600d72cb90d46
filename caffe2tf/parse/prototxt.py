"""Parser of the protobuf text format that keeps what the schema does not know.

It differs from `google.protobuf.text_format` in four ways: unknown fields are kept and do not stop it, every error and
every unknown field has a line and a column, it returns the place of each field of the outermost message, and it is
several times faster (one match of a regular expression per field).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from caffe2tf.diagnostics import Position
from caffe2tf.parse.fields import Field, fields_of, guessed
from caffe2tf.parse.text_file import TextFile, repaired
from caffe2tf.parse.tokens import CLOSERS, NAME, OPEN, STATEMENT, WORD, Cursor
from caffe2tf.parse.unknown_field import UnknownField, UnknownValue

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["Parsed", "parse_into"]

_MAX_DEPTH = 100  # nested blocks; definitions have five levels, and Python's stack takes about a thousand calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a text holds besides the message.

    Attributes:
        unknown: Fields that the schema does not know.
        fields: Name and place of each known field of the outermost message, in order.
    """

    unknown: tuple[UnknownField, ...]
    fields: tuple[tuple[str, Position], ...]


def parse_into(message: Message, file: TextFile) -> Parsed:
    """Fill the empty `message` from a text.

    Raises:
        ParseError: The text is malformed, or a value does not fit its field.
    """
    reader = _Reader(file)
    reader.body(message, None, -1)
    places = tuple((name, file.position(offset)) for name, offset in reader.outermost)
    return Parsed(unknown=tuple(reader.unknown), fields=places)


class _Trail(NamedTuple):
    """The path to the current message: it is the last value of `field` in `message`, whose own path is `parent`."""

    parent: _Trail | None
    message: Message
    field: Field
    depth: int


class _Reader(Cursor):
    """A recursive descent parser of one text."""

    def __init__(self, file: TextFile) -> None:
        super().__init__(file)
        self.unknown: list[UnknownField] = []
        self.outermost: list[tuple[str, int]] = []
        self._start = 0  # offset of the current field of the outermost message, or of the current item of its list

    def body(self, message: Message, trail: _Trail | None, opened: int) -> None:
        """Read fields into `message` up to the end of the block that opens at `opened`; -1 for the whole text."""
        match, text = STATEMENT.match, self.text
        fields = fields_of(message.DESCRIPTOR)
        while True:
            found = match(text, self.offset)
            if found is None or found.lastindex is None or found.lastindex > WORD:
                self.offset = found.end() if found else self.offset
                self._close("" if found is None or found.lastindex is None else found[found.lastindex], opened)
                return
            kind, name = found.lastindex, found[NAME]
            field = fields.get(name)
            if trail is None:
                self._start = found.start(NAME)
            if field is None or kind == NAME:
                self.offset = found.end(NAME)
                self._rare(message, trail, field, name, found.start(NAME))
                continue
            self.offset = found.end()
            if kind == OPEN:
                self._block(message, trail, field, found.end() - 1)
            else:
                quoted = kind != WORD
                self._scalar(message, trail, field, found[kind], quoted, found.start(kind) - quoted)

    def _close(self, closer: str, opened: int) -> None:
        """Check that `closer`, which was just read, matches the brace at `opened`."""
        if closer and opened < 0:
            raise self.file.error(self.offset - 1, f"{closer!r} closes no block; remove it, or open a block before it")
        wanted = CLOSERS[self.text[opened]] if opened >= 0 else ""
        if closer and closer != wanted:
            raise self.file.error(self.offset - 1, f"expected {wanted!r} at the end of the block, not {closer!r}")
        if closer:
            return
        if self.offset < len(self.text):
            raise self.unexpected("the name of a field")
        if opened >= 0:
            raise self.file.error(
                opened, f"the block that opens here is never closed; add {wanted!r}, or is the file cut off?"
            )

    def _rare(self, message: Message, trail: _Trail | None, field: Field | None, name: str, start: int) -> None:
        """Read what follows the name of an unknown field, or a form rarer than one value or one block."""
        colon = self.take(":")
        following = self.peek()
        if following == "[" and (colon or field is None or field.message):
            if field is not None and not field.repeated:
                raise self.file.error(self.offset, f"`{name}` takes one value, not a list")
            self._list(message, trail, field, name, start)
        elif field is None:
            self._keep(trail, name, start, colon=colon)
        elif following in CLOSERS:
            self.offset += 1
            self._block(message, trail, field, self.offset - 1)
        elif not colon:
            raise self.unexpected(f"`:` after `{name}`" if not field.message else f"`{{` after `{name}`")
        else:
            self._scalar(message, trail, field, *self.value()[:3])

    def _list(self, message: Message, trail: _Trail | None, field: Field | None, name: str, start: int) -> None:
        self.offset += 1
        if self.take("]"):
            return
        while True:
            if trail is None:
                self.peek()
                self._start = self.offset
            if field is None:
                self._keep(trail, name, start, colon=True)
            elif self.peek() in CLOSERS:
                self.offset += 1
                self._block(message, trail, field, self.offset - 1)
            else:
                self._scalar(message, trail, field, *self.value()[:3])
            if self.take("]"):
                return
            if not self.take(","):
                raise self.unexpected("',' or ']'")

    def _block(self, message: Message, trail: _Trail | None, field: Field, opened: int) -> None:
        name = field.name
        if not field.message:
            raise self.file.error(opened, f"`{name}` takes a plain value, not a block")
        depth = trail.depth + 1 if trail else 1
        if depth > _MAX_DEPTH:
            raise self.file.error(opened, f"blocks are nested more than {_MAX_DEPTH} deep")
        if trail is None:
            self.outermost.append((name, self._start))
        if field.repeated:
            child = getattr(message, name).add()
        else:
            self._once(message, field, opened)
            child = getattr(message, name)
            child.SetInParent()
        self.body(child, _Trail(trail, message, field, depth), opened)

    def _scalar(
        self,
        message: Message,
        trail: _Trail | None,
        field: Field,
        word: str,
        quoted: bool,  # noqa: FBT001 - called for each value of a file, where plain arguments are fastest
        start: int,
    ) -> None:
        try:
            converted = field.convert(word, quoted)
        except ValueError as reason:
            raise self.file.error(start, f"`{field.name}`: {reason}") from None
        if trail is None:
            self.outermost.append((field.name, self._start))
        if not field.repeated:
            self._once(message, field, start)
        if converted is None:
            text = f"{field.name}: {word}"
            self._note(trail, field.name, word, start, text)
        elif field.repeated:
            getattr(message, field.name).append(converted)
        else:
            setattr(message, field.name, converted)

    def _once(self, message: Message, field: Field, offset: int) -> None:
        if message.HasField(field.name):
            raise self.file.error(offset, f"`{field.name}` is given twice; remove one")

    def _keep(self, trail: _Trail | None, name: str, start: int, *, colon: bool) -> None:
        """Read the value of an unknown field and keep it."""
        lines: list[str] = []
        value = self._tree(name, lines, 0, colon=colon)
        self._note(trail, name, value, start, "\n".join(lines))

    def _tree(self, name: str, lines: list[str], depth: int, *, colon: bool) -> UnknownValue:
        """Return the value of an unknown field, and append its text to `lines`, indented by `depth` levels."""
        opener, indent = self.peek(), "  " * depth
        if opener not in CLOSERS:
            if not colon:
                raise self.unexpected(f"`:` or `{{` after `{name}`")
            value = self.value()
            lines.append(f"{indent}{name}: {repaired(self.text[value.start : value.end])}")
            return guessed(value.text, value.quoted)
        if depth >= _MAX_DEPTH:
            raise self.file.error(self.offset, f"blocks are nested more than {_MAX_DEPTH} deep")
        opened = self.offset
        self.offset += 1
        pairs: list[tuple[str, UnknownValue]] = []
        lines.append(f"{indent}{name} {{")
        while self.peek() not in ("}", ">", ""):
            self._member(pairs, lines, depth + 1)
        closer = self.peek()
        self.offset += len(closer)
        self._close(closer, opened)
        lines.append(f"{indent}}}")
        return tuple(pairs)

    def _member(self, pairs: list[tuple[str, UnknownValue]], lines: list[str], depth: int) -> None:
        """Read one field, or a list of them, inside an unknown block."""
        name = self.name()
        colon = self.take(":")
        listed = self.take("[")
        more = not (listed and self.take("]"))
        while more:
            pairs.append((name, self._tree(name, lines, depth, colon=colon or listed)))
            more = listed and not self.take("]")
            if more and not self.take(","):
                raise self.unexpected("',' or ']'")
        self.skip_separator()

    def _note(self, trail: _Trail | None, name: str, value: UnknownValue, start: int, text: str) -> None:
        parts = [name]
        while trail is not None:
            parent, message, field, _ = trail
            index = f"[{len(getattr(message, field.name)) - 1}]" if field.repeated else ""
            parts.append(field.name + index)
            trail = parent
        where = self.file.position(start)
        self.unknown.append(UnknownField(path=".".join(reversed(parts)), value=value, where=where, text=text))
