"""Writes a definition as modern text, for people to read and for Caffe to load."""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from caffe2tf.atomic import write_whole
from caffe2tf.diagnostics import Diagnostic
from caffe2tf.errors import NetworkError, ParseError
from caffe2tf.parse.definition import LayerDefinition, NetworkDefinition
from caffe2tf.parse.descriptors import is_repeated
from caffe2tf.parse.prototxt import parse_into
from caffe2tf.parse.text_file import TextFile
from caffe2tf.parse.unknown_field import UnknownField
from caffe2tf.proto import caffe_pb2

__all__ = ["format_prototxt", "write_prototxt"]

_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED: Final = re.compile(r'[\\"\x00-\x1f\x7f]')
_FLOAT_DIGITS: Final = range(6, 10)  # nine digits are always enough for 32 bits
_Below = Mapping[tuple[str, ...], Sequence[UnknownField]]


def write_prototxt(network: NetworkDefinition | Message, path: str | PathLike[str]) -> None:
    """Write `format_prototxt(network)` to a file. The write is atomic.

    Raises:
        NetworkError: A layer has a field that the modern form knows, but with another kind of value.
        OutputError: The file cannot be written.
    """
    layers = () if isinstance(network, Message) else network.layers
    problems = [problem for layer in layers for problem in _unreadable(layer)]
    if problems:
        raise NetworkError(problems)
    write_whole(path, [format_prototxt(network).encode("utf-8")])


def _unreadable(layer: LayerDefinition) -> Iterator[Diagnostic]:
    """Yield a problem for each field that was kept from an older form and that the modern form would refuse."""
    for field in layer.unknown:
        name = field.path
        if name not in layer.message.DESCRIPTOR.fields_by_name or not field.text:
            continue
        try:
            parse_into(caffe_pb2.LayerParameter(), TextFile(field.text.encode(), layer.where.file))
        except ParseError:
            what = f"`{name}` must have another kind of value in the modern form; change it, or remove it"
            yield Diagnostic(message=what, layer=layer.name, where=field.where)


def format_prototxt(network: NetworkDefinition | Message) -> str:
    """Return a network as text.

    Levels are indented by two spaces, and fields are in the order of their numbers. Unknown fields are at the end of
    their block; those of a binary file, which have no name, become comments. The same network gives the same text, and
    the text gives the same network when it is read again.
    """
    if isinstance(network, Message):
        return _joined(_body(network, "", {}))
    lines = list(_body(network.header, "", _grouped(network.unknown)))
    for layer in network.layers:
        lines += ["layer {", *_body(layer.message, "  ", _grouped(layer.unknown)), "}"]
    return _joined(lines)


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _grouped(unknown: Iterable[UnknownField]) -> _Below:
    """Return the unknown fields by the path of the block that they are in."""
    below: defaultdict[tuple[str, ...], list[UnknownField]] = defaultdict(list)
    for field in unknown:
        # The last name may contain dots, as in `[some.extension]`; the names before it never do.
        block = re.match(r"(?:[A-Za-z_]\w*(?:\[\d+\])?\.)*", field.path)
        below[tuple(block[0].split(".")[:-1]) if block else ()].append(field)
    return below


def _body(message: Message, indent: str, unknown: _Below) -> Iterator[str]:
    """Yield the fields of one message, line by line."""
    for field, value in message.ListFields():
        for index, item in enumerate(value if is_repeated(field) else [value]):
            if field.message_type is None:
                yield f"{indent}{field.name}: {_scalar(field, item)}"
                continue
            step = f"{field.name}[{index}]" if is_repeated(field) else field.name
            inner = {path[1:]: fields for path, fields in unknown.items() if path[:1] == (step,)}
            yield f"{indent}{field.name} {{"
            yield from _body(item, f"{indent}  ", inner)
            yield f"{indent}}}"
    for lost in unknown.get((), ()):
        text = lost.text or f"# {lost.path}: {lost.value} (not known to this program)"
        yield from (f"{indent}{line}" for line in text.split("\n"))


def _scalar(field: FieldDescriptor, value: Any) -> str:  # noqa: ANN401 - whatever the field holds
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value, single=field.type == FieldDescriptor.TYPE_FLOAT)
    if isinstance(value, bytes):
        return '"' + "".join(chr(x) if 32 <= x < 127 and x not in b'\\"' else f"\\{x:03o}" for x in value) + '"'
    return _quoted(value) if isinstance(value, str) else str(value)


def _float(value: float, *, single: bool) -> str:
    """Return the shortest decimal that reads back as the same 32 (or 64) bits."""
    text = repr(value)
    if single and value - value == 0:  # finite
        bits = struct.pack("f", value)
        for digits in _FLOAT_DIGITS:
            short = f"{value:.{digits}g}"
            if struct.pack("f", float(short)) == bits:
                text = short
                break
    return text.removesuffix(".0")


def _quoted(text: str) -> str:
    body = _ESCAPED.sub(lambda found: _ESCAPES.get(found[0], f"\\{ord(found[0]):03o}"), text)
    return f'"{body}"'
