"""Trained layers of a binary NetParameter (.caffemodel) of any age, without copying the values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from caffe2tf.errors import ParseError
from caffe2tf.parse.blobs import Blob, read_blob
from caffe2tf.parse.text_file import repaired
from caffe2tf.parse.upgrade_v0 import v1_type
from caffe2tf.parse.upgrade_v1 import modern_type
from caffe2tf.parse.wire import DELIMITED, LAYERS_INSIDE, Field, Wire, WireError, parse, tag, wire_type
from caffe2tf.proto import caffe_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message

    from caffe2tf.parse.mapped import MappedFile

__all__ = ["TrainedLayer", "kind_of", "read_caffemodel"]

_LAYERS: Final = LAYERS_INSIDE[caffe_pb2.NetParameter]
_INSTEAD: Final = "pass the trained weights (.caffemodel or .caffemodel.h5)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedLayer:
    """One layer of a weight file.

    Attributes:
        name: The name of the layer.
        type: The modern name of its type; "" if the file does not say.
        blobs: Its trained blobs.
        hdf5: Whether the file is HDF5. If several layers of a network have the same name, Caffe gives the blobs of a
            binary file to the first of them, and those of an HDF5 file to the last.
    """

    name: str
    type: str
    blobs: tuple[Blob, ...]
    hdf5: bool = False


def read_caffemodel(file: MappedFile) -> tuple[TrainedLayer, ...]:
    """Read all layers of a binary NetParameter, in file order, including those without blobs.

    Raises:
        ParseError: The file is another kind of file, is damaged, or holds a blob whose values do not fill its shape.
    """
    wire = Wire(file.map)
    fields: list[Field] = []
    cut: WireError | None = None
    try:
        fields.extend(wire.fields(0, len(file.map)))
    except WireError as error:
        cut = error
        fields += [error.clipped] if error.clipped else []
    _require_net(file, wire, fields)
    if cut:
        where = _describe_cut(wire, cut.clipped)
        raise ParseError(f"{file.path}:{where} {cut}") from None
    spans = [f for f in fields if (f.number, f.wire) in _LAYERS]
    layers = tuple(_read_layer(file, wire, _LAYERS[f.number, f.wire], [f], i) for i, f in enumerate(spans))
    file.release()  # walking through unpacked arrays has read their pages
    return layers


def kind_of(fields: Iterable[Field]) -> type[Message] | None:
    """Return the message type of a Caffe file: a network, a solver state, or a blob; None if it is none of them.

    The type must agree with the wire type of each top-level field that it knows. A solver state and a blob must know
    every field.
    """
    seen = {(f.number, f.wire) for f in fields}
    for message in (caffe_pb2.NetParameter, caffe_pb2.SolverState, caffe_pb2.BlobProto):
        known = message.DESCRIPTOR.fields_by_number
        agrees = all(
            wire == wire_type(known[number].type) or (wire == DELIMITED and not known[number].has_presence)
            for number, wire in seen
            if number in known
        )
        if agrees and (message is caffe_pb2.NetParameter or all(number in known for number, _ in seen)):
            return message
    return None


def _require_net(file: MappedFile, wire: Wire, fields: list[Field]) -> None:
    kind = kind_of(fields)
    if kind is caffe_pb2.SolverState:
        named = [f for f in fields if (f.number, f.wire) == tag(kind, "learned_net")]
        learned = parse(caffe_pb2.SolverState, wire, named).learned_net
        where = f"the file that it names, {learned!r}" if learned else "the .caffemodel that was saved with it"
        raise ParseError(f"{file.path}: this is a solver state; pass {where}, which holds the weights")
    if kind is caffe_pb2.BlobProto:
        raise ParseError(f"{file.path}: this is a single blob, such as a mean image; {_INSTEAD}")
    if not any((f.number, f.wire) in _LAYERS for f in fields):
        raise ParseError(f"{file.path}: this is not a trained Caffe network: it holds no layers; {_INSTEAD}")
    if kind is None:
        raise ParseError(f"{file.path}: this is not a trained Caffe network, or it is damaged; {_INSTEAD}")


def _read_layer(file: MappedFile, wire: Wire, message: type[Message], spans: list[Field], index: int) -> TrainedLayer:
    """Read one layer; ``spans`` has several items if protobuf merges a message that occurs several times."""
    name: str | None = None
    number: int | None = None
    try:
        header, blobs, older = _split(wire, message, spans)
        if older:
            return _read_layer(file, wire, caffe_pb2.V0LayerParameter, older, index)
        name, type_ = _identity(message, wire, header)
        found = []
        for number, span in enumerate(blobs):  # noqa: B007 - the handler below reads it
            found.append(read_blob(wire, span.start, span.stop))
    except WireError as error:
        subject = f"layer {name!r}" if name is not None else f"layer {index} (counted from 0)"
        part = f", blob {number}" if number is not None else ""
        raise ParseError(f"{file.path}: {subject}{part}: {error}") from None
    return TrainedLayer(name=name, type=type_, blobs=tuple(found))


def _split(wire: Wire, message: type[Message], spans: list[Field]) -> tuple[list[Field], list[Field], list[Field]]:
    """Return the fields with the name and type of a layer, its blobs, and the V0 layers in it."""
    header: list[Field] = []
    blobs: list[Field] = []
    older: list[Field] = []
    wanted = {tag(message, "name"): header, tag(message, "type"): header, tag(message, "blobs"): blobs}
    wanted |= dict.fromkeys(LAYERS_INSIDE[message], older)
    for span in spans:
        for item in wire.fields(span.start, span.stop):
            if (item.number, item.wire) in wanted:
                wanted[item.number, item.wire].append(item)
    return header, blobs, older


def _identity(message: type[Message], wire: Wire, header: list[Field]) -> tuple[str, str]:
    """Return the name and modern type of a layer."""
    layer = parse(message, wire, header)
    name = _text(layer.name)  # type: ignore[attr-defined]  # all three messages have both
    type_ = layer.type  # type: ignore[attr-defined]
    if isinstance(layer, caffe_pb2.V1LayerParameter):
        return name, modern_type(caffe_pb2.V1LayerParameter.LayerType.Name(type_))
    if isinstance(layer, caffe_pb2.V0LayerParameter):
        word = v1_type(_text(type_))
        return name, modern_type(word) if word else _text(type_)
    return name, _text(type_)


def _text(value: str | bytes) -> str:
    """Return a string of a message as text: protobuf returns a string that is not UTF-8 as bytes."""
    return repaired(value.decode("utf-8", "surrogateescape")) if isinstance(value, bytes) else value


def _describe_cut(wire: Wire, clipped: Field | None) -> str:
    """Return the layer and the index of the blob at which a file ends, for the message."""
    if clipped is None or (clipped.number, clipped.wire) not in _LAYERS:
        return ""
    message = _LAYERS[clipped.number, clipped.wire]
    return _describe_layer_cut(wire, message, clipped)


def _describe_layer_cut(wire: Wire, message: type[Message], clipped: Field) -> str:
    whole: list[Field] = []
    broken: Field | None = None
    try:
        for item in wire.fields(clipped.start, clipped.stop):
            whole.append(item)  # noqa: PERF402 - extend() would lose the items before the error
    except WireError as error:
        broken = error.clipped
    older = LAYERS_INSIDE[message].get((broken.number, broken.wire)) if broken else None
    if broken and older:
        return _describe_layer_cut(wire, older, broken)
    keys = {tag(message, "name")}
    try:
        name = _identity(message, wire, [f for f in whole if (f.number, f.wire) in keys])[0]
    except WireError:
        return ""
    blobs = tag(message, "blobs")
    count = sum((f.number, f.wire) == blobs for f in whole)
    part = f", blob {count}" if broken and (broken.number, broken.wire) == blobs else ""
    return f" layer {name!r}{part}:"
