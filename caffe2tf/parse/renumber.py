"""Gives the fields of a fork's binary network the numbers that they have in the schema.

Forks of Caffe gave one field number to different fields (`contested.py`). Where a file shows which one it means, the
number is replaced by the schema's number of that field, so that protobuf reads it. A field that the schema lacks gets a
private number, for which `name_of` knows the name. Where a file does not show it, the field stays, with a note.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from caffe2tf.diagnostics import Diagnostic, Position, Severity
from caffe2tf.parse.contested import CONTESTED, NUMBERS, V1_TYPES, Contested, Meaning
from caffe2tf.parse.contested_rules import Occurrence
from caffe2tf.parse.text_file import repaired
from caffe2tf.parse.wire import DELIMITED, LAYERS_INSIDE, VARINT, Field, Wire, WireError, tag, varint_bytes
from caffe2tf.proto import caffe_pb2

if TYPE_CHECKING:
    from google._upb._message import Descriptor as CompiledDescriptor
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

__all__ = ["is_named", "is_renumbered", "name_of", "renumbered", "v1_word"]

AnyDescriptor: TypeAlias = "Descriptor | CompiledDescriptor"

_PRIVATE: Final = 1_000_000  # far from all numbers of known forks but Fast R-CNN's, which are above 8 million
_NET: Final = caffe_pb2.NetParameter
_V1: Final = caffe_pb2.V1LayerParameter
_V2: Final = caffe_pb2.LayerParameter
_TYPES: Final[Mapping[int | None, str]] = {x.number: x.name for x in _V1.LayerType.DESCRIPTOR.values}


def _private_names() -> dict[str, int]:
    """Return a private number for each name of a fork's field, whether the schema has it or not."""
    names = {name for row in CONTESTED for m in row.meanings for name in (m.target, *m.inside.values())}
    return {name: _PRIVATE + i for i, name in enumerate(sorted(names))}


_PRIVATE_NAMES: Final = _private_names()
_NAMES: Final = {number: name for name, number in _PRIVATE_NAMES.items()}


def name_of(number: int) -> str | None:
    """Return the name of the field with a private number; None for any other number."""
    return _NAMES.get(number)


def v1_word(value: object) -> str | None:
    """Return the type of a fork's V1 layer whose enumerator is private; None for any other value."""
    index = value - _PRIVATE if isinstance(value, int) else -1
    return V1_TYPES[index].word if 0 <= index < len(V1_TYPES) else None


_Doubts = dict[tuple[str, int, int], list[tuple[str, Position]]]
"""Layers with a number whose meaning the file does not show, by message, number and value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """The layer that is being read: its type, name and place, and where doubts are collected."""

    type: str
    name: str
    where: Position
    doubts: _Doubts


def renumbered(structure: bytes, file: str) -> tuple[bytes, tuple[Diagnostic, ...]]:
    """Return a binary network without blobs, with the numbers of the schema, and notes on what it does not show.

    Args:
        structure: The network, as `caffe2tf.parse.wire.structure` returns it.
        file: The name of the file for positions.

    Raises:
        WireError: The bytes are not a message.
    """
    wire = Wire(structure)
    doubts: _Doubts = {}
    fields = list(wire.fields(0, len(structure)))
    messages = [LAYERS_INSIDE[_NET].get((f.number, f.wire)) for f in fields]
    places = {_V1: 0, _V2: messages.count(_V1)}  # V1 layers are counted first (`network.binary_places`)
    out = bytearray()
    for one, message in zip(fields, messages, strict=True):
        if message is None:
            out += structure[one.tag : one.stop]
            continue
        inside = list(wire.fields(one.start, one.stop))
        out += _delimited(one.number, _read(wire, message, inside, Position(file, layer=places[message]), doubts))
        places[message] += 1
    return bytes(out), tuple(_note(NUMBERS[m][n], value, where) for (m, n, value), where in doubts.items())


def is_named(number: int, names: Collection[str]) -> bool:
    """Return whether a number of V1's LayerParameter was read as a fork's field that has one of these names."""
    row = NUMBERS[_V1.DESCRIPTOR.name].get(number)
    return row is not None and any(meaning.target in names for meaning in row.meanings)


def is_renumbered(layer: bytes) -> bool:
    """Return whether `renumbered` changes this modern layer, given without its blobs."""
    wire = Wire(layer)
    return _read(wire, _V2, list(wire.fields(0, len(layer))), Position(""), {}) != layer


def _read(wire: Wire, message: type[Message], fields: list[Field], where: Position, doubts: _Doubts) -> bytes:
    """Return the bytes of a layer with the numbers of the schema."""
    name = _string(wire, message, "name", fields)
    if message is _V2:
        layer = _Layer(type=_string(wire, _V2, "type", fields), name=name, where=where, doubts=doubts)
        return _rewritten(wire, _V2.DESCRIPTOR, fields, layer)
    value = _last(wire, tag(_V1, "type"), fields)
    own = next((i for i, t in enumerate(V1_TYPES) if t.value == value and t.rule.holds(0, _seen(fields))), None)
    type_ = V1_TYPES[own].word if own is not None else _TYPES.get(value, "")
    layer = _Layer(type=type_, name=name, where=where, doubts=doubts)
    if own is None:
        return _rewritten(wire, _V1.DESCRIPTOR, fields, layer)
    rest = [f for f in fields if (f.number, f.wire) != tag(_V1, "type")]
    return _rewritten(wire, _V1.DESCRIPTOR, rest, layer) + _varint(tag(_V1, "type")[0], _PRIVATE + own)


def _rewritten(wire: Wire, descriptor: AnyDescriptor, fields: list[Field], layer: _Layer) -> bytes:
    """Return the bytes of a message of a layer with the numbers of the schema."""
    rows = NUMBERS.get(descriptor.name, {})
    known = descriptor.fields_by_number
    taken: dict[int, Meaning] = {}
    for number in {f.number for f in fields} & rows.keys():
        seen = _seen(fields, layer.type, _values(wire, fields, number))
        meaning = next((m for m in rows[number].meanings if m.rule.holds(number, seen)), None)
        if meaning:
            taken[number] = meaning
        elif rows[number].doubtful.holds(number, seen):
            key = (descriptor.name, number, seen.values[-1])
            layer.doubts.setdefault(key, []).append((layer.name, layer.where))
    out = bytearray()
    for one in fields:
        meaning = taken.get(one.number)
        number = _number(descriptor, meaning.target) if meaning else one.number
        child = known[number].message_type if number in known else None
        if one.wire != DELIMITED or child is None:
            out += _copied(wire, one, number)
            continue
        out += _delimited(number, _block(wire, child, one, layer, meaning.inside if meaning else {}))
    return bytes(out)


def _block(wire: Wire, descriptor: AnyDescriptor, block: Field, layer: _Layer, names: Mapping[int, str]) -> bytes:
    """Return the bytes of a block of a layer; `names` are a fork's names by number."""
    raw = bytes(wire.buffer[block.start : block.stop])
    if not names and descriptor.name not in NUMBERS:
        return raw
    try:
        fields = list(wire.fields(block.start, block.stop))
    except WireError:  # protobuf reads groups, which the walker does not
        return raw
    if not names:
        return _rewritten(wire, descriptor, fields, layer)
    numbers = {number: _number(descriptor, name) for number, name in names.items()}
    return b"".join(_copied(wire, f, numbers.get(f.number, f.number)) for f in fields)


def _number(descriptor: AnyDescriptor, name: str) -> int:
    """Return the schema's number of a field, or its private number."""
    known = descriptor.fields_by_name.get(name)
    return known.number if known else _PRIVATE_NAMES[name]


def _seen(fields: Sequence[Field], layer_type: str = "", values: tuple[int, ...] = ()) -> Occurrence:
    wires: dict[int, set[int]] = {}
    for one in fields:
        wires.setdefault(one.number, set()).add(one.wire)
    return Occurrence(layer_type=layer_type, wires=wires, values=values)


def _values(wire: Wire, fields: Sequence[Field], number: int) -> tuple[int, ...]:
    return tuple(wire.varint(f.start, f.stop)[0] for f in fields if (f.number, f.wire) == (number, VARINT))


def _last(wire: Wire, key: tuple[int, int], fields: Sequence[Field]) -> int | None:
    """Return the value of a V1 type; None if it is absent."""
    return next((wire.varint(f.start, f.stop)[0] for f in reversed(fields) if (f.number, f.wire) == key), None)


def _string(wire: Wire, message: type[Message], name: str, fields: Sequence[Field]) -> str:
    key = tag(message, name)
    found = next((f for f in reversed(fields) if (f.number, f.wire) == key), None)
    return repaired(wire.buffer[found.start : found.stop].decode("utf-8", "surrogateescape")) if found else ""


def _copied(wire: Wire, one: Field, number: int) -> bytes:
    """Return the bytes of a field, or of a run of equal fields, under another number."""
    if number == one.number:
        return bytes(wire.buffer[one.tag : one.stop])
    if one.wire == DELIMITED:
        return _delimited(number, wire.buffer[one.start : one.stop])
    size = one.stop - one.start - (one.elements - 1) * one.step
    starts = (one.start + i * one.step for i in range(one.elements))
    return b"".join(varint_bytes(number << 3 | one.wire) + wire.buffer[at : at + size] for at in starts)


def _delimited(number: int, body: bytes) -> bytes:
    return varint_bytes(number << 3 | DELIMITED) + varint_bytes(len(body)) + body


def _varint(number: int, value: int) -> bytes:
    return varint_bytes(number << 3) + varint_bytes(value)


def _note(row: Contested, value: int, layers: Sequence[tuple[str, Position]]) -> Diagnostic:
    """Return the note about a number whose meaning the file does not show."""
    (name, where), *more = layers
    others = [f"`{m.name}` in {m.forks}" for m in row.meanings if m.is_rival]
    several = f"{', '.join(others[:-1])} or {others[-1]}" if len(others) > 1 else others[0]
    return Diagnostic(
        severity=Severity.NOTE,
        message=f"field {row.number} of {row.message} with the value {value} is read as `{row.name}`; it means "
        f"{several}. If the network comes from there, pass its text definition (.prototxt), which names the field",
        layer=name,
        where=where,
        repeats=len(more),
    )
