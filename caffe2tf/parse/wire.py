"""A walker of the protobuf wire format, to find fields in a message without parsing it.

A trained network is a few kilobytes of structure around hundreds of megabytes of numbers. `Wire` walks the structure
and skips the numbers; the message classes of `caffe_pb2` then parse the small parts. Field numbers come from the
descriptors of these classes, so that the schema exists only once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from caffe2tf.errors import ParseError
from caffe2tf.proto import caffe_pb2

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

__all__ = [
    "DELIMITED",
    "FIXED32",
    "FIXED64",
    "GROUP",
    "LAYERS_INSIDE",
    "NOT_UTF8",
    "UNSET_PYTHON",
    "VARINT",
    "Field",
    "Wire",
    "WireError",
    "parse",
    "structure",
    "tag",
    "varint_bytes",
    "wire_type",
]

AnyMessage = TypeVar("AnyMessage", bound=Message)

VARINT: Final = 0
FIXED64: Final = 1
DELIMITED: Final = 2
GROUP: Final = 3
FIXED32: Final = 5

_MEND: Final = "the file is damaged or incomplete; copy or download it again"

_FIXED_SIZE: Final = {FIXED64: 8, FIXED32: 4}
_WIRE_TYPE: Final = {
    FieldDescriptor.TYPE_DOUBLE: FIXED64,
    FieldDescriptor.TYPE_FIXED64: FIXED64,
    FieldDescriptor.TYPE_SFIXED64: FIXED64,
    FieldDescriptor.TYPE_FLOAT: FIXED32,
    FieldDescriptor.TYPE_FIXED32: FIXED32,
    FieldDescriptor.TYPE_SFIXED32: FIXED32,
    FieldDescriptor.TYPE_STRING: DELIMITED,
    FieldDescriptor.TYPE_BYTES: DELIMITED,
    FieldDescriptor.TYPE_MESSAGE: DELIMITED,
}  # all other types are varints
# Limits far above any Caffe file. Without them, a crafted file could cost minutes or gigabytes.
_FIELD_LIMIT: Final = 500_000
_HEADER_LIMIT: Final = 64 << 20


NOT_UTF8: Final = "text that is not UTF-8"
UNSET_PYTHON: Final = (
    "protobuf's implementation in Python reads only UTF-8; unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION, or install "
    "protobuf with its compiled part"
)


class WireError(ParseError):
    """The bytes are not a message.

    Attributes:
        offset: The place in the file, in bytes.
        clipped: The field that extends beyond the end of its message, if that is what is wrong.
    """

    def __init__(self, what: str, offset: int, clipped: Field | None = None, *, mend: str = _MEND) -> None:
        self.offset = offset
        self.clipped = clipped
        super().__init__(f"{what} (at byte {offset}); {mend}")


class Field(NamedTuple):
    """One field of a message, or a run of ``elements`` fixed-size fields that repeat the same tag.

    All offsets are bytes from the start of the buffer. The payloads of a run start at ``start`` and are ``step`` bytes
    apart; ``stop`` is the end of the last one.
    """

    number: int
    wire: int
    tag: int
    start: int
    stop: int
    elements: int = 1
    step: int = 0


class Wire:
    """Walks the messages in a buffer. Use one object per file: it limits the number of fields that are walked."""

    __slots__ = ("_fields_left", "buffer")

    def __init__(self, buffer: bytes | mmap.mmap, *, field_limit: int = _FIELD_LIMIT) -> None:
        self.buffer = buffer
        self._fields_left = field_limit

    def fields(self, start: int, stop: int, *, groups: bool = False) -> Iterator[Field]:
        """Yield the fields of the message at bytes [start, stop), in order; raise WireError at the first bad one.

        Args:
            start: The first byte of the message.
            stop: The end of the message.
            groups: Whether a group, which no Caffe message has, is yielded as one field instead of being an error.
        """
        at = start
        while at < stop:
            field = self._group(at, stop) if groups else None
            field = field or self._next(at, stop)
            yield field
            at = field.stop

    def varint(self, at: int, stop: int) -> tuple[int, int]:
        """Return the varint (64 bits) at ``at`` and its end; raise WireError if it is cut off or too long."""
        if at < stop and (value := self.buffer[at]) < 0x80:  # nearly all varints are one byte
            return value, at + 1
        value = shift = 0
        for i in range(at, min(at + 10, stop)):
            byte = self.buffer[i]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, i + 1
            shift += 7
        if stop - at >= 10:
            raise WireError("a number of more than 10 bytes", at)
        raise WireError("a number that is cut off", at)

    def _next(self, at: int, stop: int) -> Field:
        """Return the field at ``at``, and count it."""
        self._fields_left -= 1
        if self._fields_left < 0:
            raise WireError("it has more fields than any Caffe file", at)
        return self._field(at, stop)

    def _group(self, at: int, stop: int) -> Field | None:
        """Return the group that starts at ``at``, with all groups inside it; None if another field starts there."""
        if self.buffer[at] & 7 != GROUP:
            return None
        first, start = self.varint(at, stop)
        inside, here = [first], start
        while inside:
            if here >= stop:
                raise WireError(f"field {first >> 3} is a group that is cut off", at)
            key, after = self.varint(here, stop)
            if key & 7 == GROUP:
                inside.append(key)
                here = after
            elif key == inside[-1] + 1:  # the tag that ends a group has the next wire type
                inside.pop()
                here = after
            else:
                here = self._next(here, stop).stop
        return Field(first >> 3, GROUP, at, start, here)

    def _field(self, at: int, stop: int) -> Field:
        key, start = self.varint(at, stop)
        number, wire = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise WireError(f"a field numbered {number}, which protobuf does not allow", at)
        if wire == VARINT:
            return Field(number, wire, at, start, self.varint(start, stop)[1])
        if wire == DELIMITED:
            size, start = self.varint(start, stop)
            if size > stop - start:
                what = f"field {number} declares {size} bytes where {stop - start} are left"
                raise WireError(what, at, Field(number, wire, at, start, stop))
            return Field(number, wire, at, start, start + size)
        if wire not in _FIXED_SIZE:
            what = "is a group, which no Caffe message has" if wire in {3, 4} else f"has wire type {wire}"
            raise WireError(f"field {number} {what}", at)
        size = _FIXED_SIZE[wire]
        if size > stop - start:
            what = f"field {number} takes {size} bytes where {stop - start} are left"
            raise WireError(what, at, Field(number, wire, at, start, stop))
        count = 1 + self._repeats(self.buffer[at:start], start + size, stop, size)
        step = start - at + size
        return Field(number, wire, at, start, start + size + (count - 1) * step, count, step)

    def _repeats(self, key: bytes, at: int, stop: int, size: int) -> int:
        """Return how many fields with the tag ``key`` and ``size`` bytes follow each other from ``at`` on.

        Unpacked arrays are runs of millions of such fields. NumPy compares the tags in bulk, in pieces that limit the
        memory.
        """
        step = len(key) + size
        most = (stop - at) // step
        wanted = np.frombuffer(key, np.uint8)
        found, piece = 0, 16
        while found < most:
            piece = min(piece, most - found)
            keys = np.ndarray((piece, len(key)), np.uint8, self.buffer, at + found * step, (step, 1))
            equal = (keys == wanted).all(axis=1)
            if not equal.all():
                return found + int(equal.argmin())
            found += piece
            piece = min(piece * 4, 1 << 16)
        return found


def tag(message: type[Message], name: str) -> tuple[int, int]:
    """Return the number and wire type of a field of the schema; arrays of numbers count as unpacked."""
    field = message.DESCRIPTOR.fields_by_name[name]
    return field.number, wire_type(field.type)


def wire_type(declared: int) -> int:
    """Return the wire type of a declared type; arrays of numbers count as unpacked."""
    return _WIRE_TYPE.get(declared, VARINT)


LAYERS_INSIDE: Final[dict[type[Message], dict[tuple[int, int], type[Message]]]] = {
    caffe_pb2.NetParameter: {
        tag(caffe_pb2.NetParameter, "layer"): caffe_pb2.LayerParameter,
        tag(caffe_pb2.NetParameter, "layers"): caffe_pb2.V1LayerParameter,
    },
    caffe_pb2.LayerParameter: {},
    caffe_pb2.V1LayerParameter: {tag(caffe_pb2.V1LayerParameter, "layer"): caffe_pb2.V0LayerParameter},
    caffe_pb2.V0LayerParameter: {},
}
"""For each message type that holds blobs, directly or in layers: its fields that hold layers, and their types."""


def parse(message: type[AnyMessage], wire: Wire, fields: list[Field]) -> AnyMessage:
    """Parse a message from some of its fields, such as the name and type of a layer without its blobs.

    Args:
        message: The type of the message.
        wire: The file.
        fields: The fields to parse, in file order. Repeated occurrences merge by protobuf's rules.

    Raises:
        WireError: The fields are too large or malformed.
    """
    size = sum(f.stop - f.tag for f in fields)
    if size > _HEADER_LIMIT:
        raise WireError(f"{size} bytes of structure, more than in any Caffe file", fields[0].tag)
    try:
        return message.FromString(b"".join(wire.buffer[f.tag : f.stop] for f in fields))
    except UnicodeDecodeError:
        raise WireError(f"a {message.DESCRIPTOR.name} with {NOT_UTF8}", fields[0].tag, mend=UNSET_PYTHON) from None
    except DecodeError:
        raise WireError(f"a malformed {message.DESCRIPTOR.name}", fields[0].tag) from None


def structure(buffer: bytes | mmap.mmap) -> bytes:
    """Return the bytes of a NetParameter of any age (V0, V1, V2) without the blobs of its layers.

    Everything else is kept, in order, including unknown fields.

    Raises:
        WireError: The bytes are not a message. The message of the error does not contain the name of the file.
    """
    return bytes(_without_blobs(Wire(buffer), caffe_pb2.NetParameter, 0, len(buffer)))


def _without_blobs(wire: Wire, message: type[Message], start: int, stop: int) -> bytearray:
    inside = LAYERS_INSIDE[message]
    blobs = None if message is caffe_pb2.NetParameter else tag(message, "blobs")
    out = bytearray()
    for field in wire.fields(start, stop):
        key = (field.number, field.wire)
        if key in inside:
            layer = _without_blobs(wire, inside[key], field.start, field.stop)
            out += varint_bytes(field.number << 3 | field.wire) + varint_bytes(len(layer)) + layer
        elif key != blobs:
            if len(out) + field.stop - field.tag > _HEADER_LIMIT:
                raise WireError("it has more bytes besides the weights than any Caffe file", field.tag)
            out += wire.buffer[field.tag : field.stop]
    return out


def varint_bytes(value: int) -> bytes:
    """Return a number of 0 or more as a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
