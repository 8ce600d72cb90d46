"""Converters from text to the values of fields: one table for each message type, built from its descriptor."""

# ruff: noqa: FBT001 - all converters have one signature, and are called once for each value of a file

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TypeAlias

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from caffe2tf.parse.descriptors import is_repeated
from caffe2tf.parse.text_file import repaired

__all__ = ["Field", "Scalar", "fields_of", "guessed"]

Scalar: TypeAlias = bool | int | float | str | bytes
# Converts the text of a value, given whether it was in quotes. None is the value of an enum that the schema lacks.
_Convert: TypeAlias = Callable[[str, bool], Scalar | None]

_INTEGER = re.compile(r"([-+]?)(?:(0[xX][0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(?:(?!0[0-9])[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[fF]?")
_NOT_FINITE = re.compile(r"[-+]?(?:inf|infinity|nan)[fF]?", re.IGNORECASE)
_DIGITS_OF_64_BITS = 25  # room for leading zeros; also below the limit of int() on digits
_BOOLS = {"true": True, "True": True, "t": True, "1": True, "false": False, "False": False, "f": False, "0": False}
_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a message type.

    Attributes:
        name: The name of the field.
        repeated: Whether it is a list.
        message: Whether its values are messages.
        convert: Converts a value from text; raises ValueError with the reason if the value does not fit.
    """

    name: str
    repeated: bool
    message: bool
    convert: _Convert


@cache
def fields_of(descriptor: Descriptor) -> Mapping[str, Field]:
    """Return the fields of a message type by name."""
    return {
        field.name: Field(
            name=field.name,
            repeated=is_repeated(field),
            message=field.message_type is not None,
            convert=_converter(field),
        )
        for field in descriptor.fields
    }


def _converter(field: FieldDescriptor) -> _Convert:
    kind = field.cpp_type
    if kind in _RANGES:
        return _integer(*_RANGES[kind])
    if kind in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return _float
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return _bool
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.message_type is not None:
        return _block
    return _bytes if field.type == FieldDescriptor.TYPE_BYTES else _string


def _integer(low: int, high: int) -> _Convert:
    @lru_cache(maxsize=4096)
    def convert(text: str, quoted: bool) -> int:
        found = None if quoted else _INTEGER.fullmatch(text)
        if found is None:
            raise ValueError(f"{_shown(text, quoted)} is not an integer")
        value = _magnitude(found) * (-1 if found[1] == "-" else 1)
        if not low <= value <= high:
            raise ValueError(f"{_shown(text, quoted)} is outside [{low}, {high}]")
        return value

    return convert


def _magnitude(found: re.Match[str]) -> int:
    if len(found[0]) > _DIGITS_OF_64_BITS:
        return 2**64  # outside every range
    if found[2]:
        return int(found[2], 16)
    return int(found[3], 8) if found[3] else int(found[4])


@lru_cache(maxsize=4096)
def _float(text: str, quoted: bool) -> float:
    if not quoted:
        if _FLOAT.fullmatch(text):
            return float(text.rstrip("fF"))
        if _NOT_FINITE.fullmatch(text):
            sign, body = ("-", text[1:]) if text[0] == "-" else ("", text.lstrip("+"))
            return float(sign + body.lower()[:3])
    raise ValueError(f"{_shown(text, quoted)} is not a number (decimal, as in 0.5 or 1e-3)")


def _bool(text: str, quoted: bool) -> bool:
    if quoted or text not in _BOOLS:
        raise ValueError(f"{_shown(text, quoted)} is neither true nor false")
    return _BOOLS[text]


def _enum(enum: EnumDescriptor) -> _Convert:
    names = {value.name: value.number for value in enum.values}
    numbers = set(names.values())
    choice = ", ".join([*names][:4]) + (", ..." if len(names) > 4 else "")
    hint = "; types in quotes belong in `layer`, not in `layers`" if enum.name == "LayerType" else ""

    def convert(text: str, quoted: bool) -> int | None:
        if quoted:
            raise ValueError(f"{_shown(text, quoted)} must be a bare word ({choice}){hint}")
        if text in names:
            return names[text]
        if found := _INTEGER.fullmatch(text):
            value = _magnitude(found) * (-1 if found[1] == "-" else 1)
            return value if value in numbers else None
        if not text.isidentifier():
            raise ValueError(f"{_shown(text, quoted)} must be a bare word ({choice})")
        return None

    return convert


def _string(text: str, quoted: bool) -> str:
    if not quoted:
        raise ValueError(f"{_shown(text, quoted)} must be in quotes")
    return text if text.isascii() else repaired(text)


def _bytes(text: str, quoted: bool) -> bytes:
    return _string(text, quoted).encode("utf-8") if text.isascii() else text.encode("utf-8", "surrogateescape")


def guessed(text: str, quoted: bool) -> bool | int | float | str:
    """Return the value of a field that the schema does not know, with the type that it looks like."""
    if quoted:
        return repaired(text)
    found = _INTEGER.fullmatch(text)
    if found and len(text) <= _DIGITS_OF_64_BITS:
        return _magnitude(found) * (-1 if found[1] == "-" else 1)
    if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        return _float(text, quoted)
    return {"true": True, "false": False}.get(text, repaired(text))


def _block(text: str, quoted: bool) -> Scalar:
    raise ValueError(f"{_shown(text, quoted)} is given, but this field takes a block in braces")


def _shown(text: str, quoted: bool) -> str:
    short = repaired(text if len(text) <= 40 else f"{text[:37]}...")
    return repr(short) if quoted or not short.isprintable() else short
