"""Reader of binary networks that keeps what the schema does not know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from caffe2tf.diagnostics import Diagnostic, Position
from caffe2tf.errors import ParseError
from caffe2tf.parse.descriptors import is_repeated
from caffe2tf.parse.mapped import MappedFile
from caffe2tf.parse.renumber import name_of, renumbered, v1_word
from caffe2tf.parse.text_file import repaired
from caffe2tf.parse.unknown_field import UnknownField
from caffe2tf.parse.wire import NOT_UTF8, UNSET_PYTHON, WireError, structure
from caffe2tf.proto import caffe_pb2

__all__ = ["BinaryNetwork", "read_binary"]

_LONGEST = 64  # bytes of an unknown field to show


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryNetwork:
    """A binary network.

    Attributes:
        net: The network without its blobs.
        unknown: The fields that the schema does not know.
        notes: Fields that mean different things in different forks of Caffe, where the file does not show which.
    """

    net: caffe_pb2.NetParameter
    unknown: tuple[UnknownField, ...]
    notes: tuple[Diagnostic, ...]


def read_binary(file: MappedFile, name: str) -> BinaryNetwork:
    """Read a binary NetParameter.

    Args:
        file: The file.
        name: The name of the file for positions.

    Returns:
        The network. Fields of forks whose numbers are contested are read as what the file shows them to be.

    Raises:
        ParseError: The file is damaged.
    """
    net = caffe_pb2.NetParameter()
    try:
        whole, notes = renumbered(structure(file.map), name)
        net.ParseFromString(whole)
    except WireError as error:
        raise ParseError(f"{name}: {error}") from None
    except UnicodeDecodeError:
        raise ParseError(f"{name}: the file has {NOT_UTF8}; {UNSET_PYTHON}") from None
    except DecodeError:
        raise ParseError(f"{name}: the file is damaged; copy or download it again") from None
    return BinaryNetwork(net=net, unknown=tuple(_walk(net, "", Position(name))), notes=notes)


def _walk(message: Message, prefix: str, where: Position) -> Iterator[UnknownField]:
    """Yield the unknown fields of `message` and of all messages in it; repair strings that are not UTF-8."""
    fields = message.DESCRIPTOR.fields_by_number
    unknown_fields: Iterable[Any] = UnknownFieldSet(message)  # type: ignore[assignment]  # its stub lacks __iter__
    for unknown in unknown_fields:
        known = fields.get(unknown.field_number)
        # An unknown field with the number of a known enum holds a value that the enum lacks. With any other known
        # number, a fork uses the number for a field of another type.
        if own := name_of(unknown.field_number):
            text = _block_text(own, unknown.data)
            yield UnknownField(path=prefix + own, value=_shown(unknown.data), where=where, text=text)
            continue
        last = known.name if known and known.enum_type else f"#{unknown.field_number}"
        yield UnknownField(path=prefix + last, value=v1_word(unknown.data) or _shown(unknown.data), where=where)
    for field, value in message.ListFields():
        if field.message_type is None:
            if field.type == FieldDescriptor.TYPE_STRING:
                _repair(message, field)
        elif is_repeated(field):
            for index, child in enumerate(value):
                yield from _walk(child, f"{prefix}{field.name}[{index}].", where)
        else:
            yield from _walk(value, f"{prefix}{field.name}.", where)


def _block_text(name: str, data: object) -> str:
    """Return a fork's block of a V1 layer as text, if the schema knows it in modern layers; otherwise ""."""
    field = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name.get(name)
    if field is None or field.message_type is None or not isinstance(data, bytes):
        return ""
    layer = caffe_pb2.LayerParameter()
    try:
        getattr(layer, name).ParseFromString(data)
    except DecodeError:
        return ""
    return text_format.MessageToString(layer, as_one_line=True)


def _shown(data: object) -> int | str:
    """Return an unknown value for display: a number, printable text, or the first bytes in hexadecimal."""
    if isinstance(data, int):
        return data
    if not isinstance(data, bytes):
        return "(group)"  # Caffe never wrote groups
    text = data[:_LONGEST].decode("latin-1")
    return text if text.isascii() and text.isprintable() else data[:_LONGEST].hex()


def _repair(message: Message, field: FieldDescriptor) -> None:
    """Replace bytes by text: protobuf returns a string that is not UTF-8 as bytes."""
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
