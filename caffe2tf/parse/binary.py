"""A binary NetParameter into a message, keeping what the schema does not know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from caffe2tf.diagnostics import Position
from caffe2tf.errors import ParseError
from caffe2tf.parse.definition import UnknownField
from caffe2tf.parse.descriptors import is_repeated
from caffe2tf.parse.mapped import MappedFile
from caffe2tf.parse.text_file import repaired
from caffe2tf.parse.wire import NOT_UTF8, UNSET_PYTHON, WireError, structure
from caffe2tf.proto import caffe_pb2

__all__ = ["read_binary"]

_LONGEST = 64  # bytes of an unknown field that are shown


def read_binary(file: MappedFile, name: str) -> tuple[caffe_pb2.NetParameter, tuple[UnknownField, ...]]:
    """The network without its blobs, and what the schema does not know of it; `name` is the file's, for positions.

    Raises:
        ParseError: The file is damaged.
    """
    net = caffe_pb2.NetParameter()
    try:
        net.ParseFromString(structure(file.map))
    except WireError as error:
        raise ParseError(f"{name}: {error}") from None
    except UnicodeDecodeError:
        raise ParseError(f"{name}: the file has {NOT_UTF8}; {UNSET_PYTHON}") from None
    except DecodeError:
        raise ParseError(f"{name}: the file is damaged: copy or download it again") from None
    return net, tuple(_walk(net, "", Position(name)))


def _walk(message: Message, prefix: str, where: Position) -> Iterator[UnknownField]:
    """Unknown fields of `message` and of all in it; strings that are not UTF-8 are repaired on the way."""
    fields = message.DESCRIPTOR.fields_by_number
    unknown_fields: Iterable[Any] = UnknownFieldSet(message)  # type: ignore[assignment]  # its stub lacks __iter__
    for unknown in unknown_fields:
        known = fields.get(unknown.field_number)
        # A known enum among the unknown has a value that the schema lacks; any other known number is a fork's own use
        # of it, with another type.
        last = known.name if known and known.enum_type else f"#{unknown.field_number}"
        yield UnknownField(path=prefix + last, value=_shown(unknown.data), where=where)
    for field, value in message.ListFields():
        if field.message_type is None:
            if field.type == FieldDescriptor.TYPE_STRING:
                _repair(message, field)
        elif is_repeated(field):
            for index, child in enumerate(value):
                yield from _walk(child, f"{prefix}{field.name}[{index}].", where)
        else:
            yield from _walk(value, f"{prefix}{field.name}.", where)


def _shown(data: object) -> int | str:
    """A number as such, a short text as text, other bytes in hexadecimal; groups, which no Caffe wrote, by name."""
    if isinstance(data, int):
        return data
    if not isinstance(data, bytes):
        return "(group)"
    text = data[:_LONGEST].decode("latin-1")
    return text if text.isascii() and text.isprintable() else data[:_LONGEST].hex()


def _repair(message: Message, field: FieldDescriptor) -> None:
    """Replaces bytes, which is how protobuf hands over a string that is not UTF-8, by the string they mean."""
    value = getattr(message, field.name)
    if is_repeated(field):
        if any(isinstance(item, bytes) for item in value):
            whole = [_text(item) for item in value]
            del value[:]
            value.extend(whole)
    elif isinstance(value, bytes):
        setattr(message, field.name, _text(value))


def _text(value: str | bytes) -> str:
    return repaired(value.decode("utf-8", "surrogateescape")) if isinstance(value, bytes) else value
