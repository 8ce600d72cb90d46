"""Rewrites a file of any age in the modern form: text as text, and a trained network with its blobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Final

from caffe2tf.atomic import write_whole
from caffe2tf.diagnostics import Diagnostic
from caffe2tf.errors import NetworkError, UsageError
from caffe2tf.parse.binary import read_binary
from caffe2tf.parse.blobs import Pages
from caffe2tf.parse.caffemodel import read_caffemodel
from caffe2tf.parse.descriptors import is_repeated
from caffe2tf.parse.mapped import MappedFile, map_file
from caffe2tf.parse.network import DEFINITION_FILES, binary_draft, read_network
from caffe2tf.parse.renumber import is_named, is_renumbered
from caffe2tf.parse.sniff import is_text, require_binary_network
from caffe2tf.parse.upgrade import upgrade
from caffe2tf.parse.wire import DELIMITED, LAYERS_INSIDE, Field, Wire, tag, varint_bytes, wire_type
from caffe2tf.parse.write import write_prototxt
from caffe2tf.proto import caffe_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from caffe2tf.parse.draft import ModernLayer

__all__ = ["Upgraded", "upgrade_file"]

_TEXT: Final = (".prototxt", ".pbtxt", ".txt")
_PIECE: Final = 4 << 20  # bytes copied at once
_BLOBS: Final = tag(caffe_pb2.LayerParameter, "blobs")
_PARAM: Final = tag(caffe_pb2.LayerParameter, "param")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """What was written.

    Attributes:
        layers: The number of layers.
        blobs: The number of trained blobs; 0 in text.
        notes: What was upgraded, moved or left out.
    """

    layers: int
    blobs: int
    notes: tuple[Diagnostic, ...]


def upgrade_file(old: str | PathLike[str], new: str | PathLike[str]) -> Upgraded:
    """Write a file in the modern form. The write is atomic.

    If the name of `new` ends in .prototxt, .pbtxt or .txt, the result is text with the definition alone. Otherwise it
    has the form of `old`: a binary network keeps its trained blobs, byte for byte, with shapes in any form, and the
    fields that the schema does not know. Blobs are copied piece by piece, so the file may be larger than the memory.

    Args:
        old: A definition or a trained network of any age, text or binary.
        new: The file to write; it may be `old` itself.

    Raises:
        ParseError: `old` cannot be read, is another kind of file, or is malformed.
        NetworkError: The definition cannot be upgraded.
        UsageError: `new` is a .caffemodel, but `old` is text.
        OutputError: `new` cannot be written.
    """
    suffix = Path(fspath(new)).suffix.lower()
    file = map_file(Path(fspath(old)), what="network to upgrade", suffixes=DEFINITION_FILES)
    try:
        text = is_text(file)
        if text and suffix == ".caffemodel":
            raise UsageError(f"{old}: this is text, which holds no weights; name the result .prototxt")
        if not text and suffix not in _TEXT:
            return _upgrade_binary(file, new)
        left = 0 if text else _Network.read(file).count
    finally:
        file.close()
    definition = read_network(old)
    write_prototxt(definition, new)
    notes = definition.notes
    if left:
        what = f"the {left} trained blobs of {old} are not in the result; write a .caffemodel to keep them"
        notes += (Diagnostic.note(what),)
    return Upgraded(layers=len(definition.layers), blobs=0, notes=notes)


def _upgrade_binary(file: MappedFile, new: str | PathLike[str]) -> Upgraded:
    network = _Network.read(file)
    write_whole(new, network.pieces(file))
    return Upgraded(layers=len(network.layers), blobs=network.count, notes=network.notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A modern layer.

    Attributes:
        head: The serialised message, without blobs.
        blobs: The places of its blobs in the old file.
    """

    head: bytes
    blobs: tuple[Field, ...]

    @property
    def size(self) -> int:
        """The number of bytes of the new message."""
        return len(self.head) + sum(len(_key(_BLOBS, b.stop - b.start)) + b.stop - b.start for b in self.blobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Network:
    """A modern network.

    Attributes:
        head: Everything besides the layers, serialised.
        layers: The layers.
        notes: What was upgraded.
    """

    head: bytes
    layers: tuple[_Layer, ...]
    notes: tuple[Diagnostic, ...]

    @property
    def count(self) -> int:
        """The number of trained blobs."""
        return sum(len(layer.blobs) for layer in self.layers)

    @classmethod
    def read(cls, file: MappedFile) -> _Network:
        """Read a binary file; raise ParseError or NetworkError if that is not possible."""
        require_binary_network(file)
        read_caffemodel(file)  # checks the blobs, which are then copied as bytes
        name = str(file.path)
        read = read_binary(file, name)
        wire = Wire(file.map)
        fields = list(wire.fields(0, len(file.map)))
        inside = LAYERS_INSIDE[caffe_pb2.NetParameter]
        spans = [f for key in _ages() for f in fields if (f.number, f.wire) == key]
        draft = upgrade(binary_draft(read, name))
        if draft.problems:
            raise NetworkError(draft.problems)
        notes = list(draft.notes)
        layers = tuple(_layer(wire, layer, spans, notes) for layer in draft.layers)
        foreign = [f for f in fields if (f.number, f.wire) not in inside and not _known(caffe_pb2.NetParameter, f)]
        head = draft.header.SerializeToString(deterministic=True) + _raw(wire, foreign)
        return cls(head=head, layers=layers, notes=tuple(notes))

    def pieces(self, file: MappedFile) -> Iterator[bytes]:
        """Yield the bytes of the new file, piece by piece."""
        yield self.head
        for layer in self.layers:
            yield _key(tag(caffe_pb2.NetParameter, "layer"), layer.size) + layer.head
            for blob in layer.blobs:
                yield _key(_BLOBS, blob.stop - blob.start)
                for start in range(blob.start, blob.stop, _PIECE):
                    stop = min(start + _PIECE, blob.stop)
                    yield file.map[start:stop]
                    Pages(map=file.map, start=blob.start, stop=blob.stop).release(start, stop)


def _ages() -> tuple[tuple[int, int], tuple[int, int]]:
    return tag(caffe_pb2.NetParameter, "layers"), tag(caffe_pb2.NetParameter, "layer")


def _layer(wire: Wire, layer: ModernLayer, spans: Sequence[Field], notes: list[Diagnostic]) -> _Layer:
    """Return a layer with the blobs and unknown fields of the old layer, and append notes on the latter."""
    head = layer.message.SerializeToString(deterministic=True)
    if layer.where.layer is None:  # an Input layer that the upgrade added
        return _Layer(head=head, blobs=())
    span = spans[layer.where.layer]
    message = LAYERS_INSIDE[caffe_pb2.NetParameter][span.number, span.wire]
    fields = list(wire.fields(span.start, span.stop))
    if message is caffe_pb2.LayerParameter and is_renumbered(_raw(wire, _without(fields, _BLOBS))):
        # The layer is modern, and its fork alone reads its numbers. The upgrade may have changed `param`, nothing else.
        param = caffe_pb2.LayerParameter(param=layer.message.param)
        head = _raw(wire, _without(fields, _BLOBS, _PARAM)) + param.SerializeToString(deterministic=True)
    inner = [f for f in fields if (f.number, f.wire) in LAYERS_INSIDE[message]]
    # The message of a modern layer keeps its unknown fields itself.
    kept = _foreign(message, fields) if message is not caffe_pb2.LayerParameter else []
    if inner:
        (message,) = LAYERS_INSIDE[message].values()
        fields = [f for one in inner for f in wire.fields(one.start, one.stop)]
        kept += _foreign(message, fields)
    modern = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_number
    if message is caffe_pb2.V1LayerParameter:
        names = {field.name for field, _ in layer.message.ListFields()} | {field.path for field in layer.unknown}
        kept = [f for f in kept if not is_named(f.number, names)]
    for field in kept:
        what = "is another field in the modern form, and is dropped" if field.number in modern else "is kept"
        notes.append(Diagnostic.note(f"unknown field {field.number} {what}", layer=layer.name, where=layer.where))
    head += _raw(wire, [f for f in kept if f.number not in modern])
    return _Layer(head=head, blobs=tuple(f for f in fields if (f.number, f.wire) == tag(message, "blobs")))


def _without(fields: Sequence[Field], *keys: tuple[int, int]) -> list[Field]:
    return [f for f in fields if (f.number, f.wire) not in keys]


def _foreign(message: type[Message], fields: Sequence[Field]) -> list[Field]:
    return [f for f in fields if not _known(message, f)]


def _known(message: type[Message], field: Field) -> bool:
    """Return whether the schema knows the field; an array of numbers may be packed."""
    known = message.DESCRIPTOR.fields_by_number.get(field.number)
    if known is None:
        return False
    return field.wire == wire_type(known.type) or (field.wire == DELIMITED and is_repeated(known))


def _raw(wire: Wire, fields: Sequence[Field]) -> bytes:
    return b"".join(wire.buffer[f.tag : f.stop] for f in fields)


def _key(key: tuple[int, int], size: int) -> bytes:
    """Return the bytes before the content of a field: its tag and size."""
    return varint_bytes(key[0] << 3 | key[1]) + varint_bytes(size)
