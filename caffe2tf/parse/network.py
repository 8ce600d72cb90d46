"""Reads a definition of any age, text or binary, in the modern form."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from caffe2tf.diagnostics import Diagnostic, Position
from caffe2tf.errors import NetworkError, ParseError
from caffe2tf.parse.definition import LayerDefinition, NetworkDefinition
from caffe2tf.parse.draft import Draft, ModernLayer, OldLayer, copy_field
from caffe2tf.parse.enum_words import describe_word
from caffe2tf.parse.mapped import MappedFile, map_file
from caffe2tf.parse.prototxt import parse_into
from caffe2tf.parse.sniff import INSTEAD, is_text, require_binary_network
from caffe2tf.parse.state import NetState
from caffe2tf.parse.text_file import TextFile
from caffe2tf.parse.unknown_field import UnknownField
from caffe2tf.parse.upgrade import upgrade
from caffe2tf.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe2tf.parse.binary import BinaryNetwork

__all__ = ["DEFINITION_FILES", "binary_draft", "draft_of", "read_network"]

Places = Mapping[str, Sequence[Position]]
"""The place of each ``layers``, ``layer`` and ``input`` field of a network, in the order of the message."""

_LAYER_PATH: Final = re.compile(r"(layers?)\[(\d+)\]\.(.+)", re.DOTALL)
_PHASE_PATH: Final = re.compile(r"((include|exclude)\[\d+\]\.)?phase")
DEFINITION_FILES: Final = (".prototxt", ".pbtxt", ".caffemodel")


def read_network(path: str | PathLike[str]) -> NetworkDefinition:
    """Read a definition, and upgrade it to the modern form.

    Args:
        path: A prototxt, or a binary NetParameter such as a .caffemodel; the content decides, not the name. Weights
            in the file are skipped.

    Returns:
        The definition::

            definition = read_network("deploy.prototxt").select(phase="TEST")
            [layer.type for layer in definition.layers]  # ["Input", "Convolution", "ReLU", ...]

    Raises:
        ParseError: The file cannot be read, is another kind of file, is malformed, or has no layers.
        NetworkError: The definition cannot be upgraded, or lacks something that Caffe requires.
    """
    name = fspath(path)
    file = map_file(Path(name), what="network definition", suffixes=DEFINITION_FILES)
    try:
        text = is_text(file)
        draft = _read_text(file, name) if text else _read_binary(file, name)
    finally:
        file.close()
    draft = upgrade(draft)
    problems = (*draft.problems, *_missing(draft.layers), *_wrong_phases(draft))
    if problems:
        raise NetworkError(problems)
    if not draft.layers:
        raise ParseError(_without_layers(draft, name))
    return NetworkDefinition(
        name=draft.header.name,
        file=name,
        is_text=text,
        layers=tuple(LayerDefinition.of(x.message, where=x.where, unknown=x.unknown) for x in draft.layers),
        header=draft.header,
        unknown=draft.unknown,
        state=NetState.of(draft.header.state),
        notes=draft.notes,
    )


def _read_text(file: MappedFile, name: str) -> Draft:
    net = caffe_pb2.NetParameter()
    parsed = parse_into(net, TextFile(file.map[:], name))
    weighted = any(x.blobs for x in net.layer) or any(x.blobs or x.layer.blobs for x in net.layers)
    for layer in net.layer if weighted else ():
        layer.ClearField("blobs")
    places: defaultdict[str, list[Position]] = defaultdict(list)
    for field, place in parsed.fields:
        places[field].append(place)
    draft = draft_of(net, parsed.unknown, places, Position(name, 1, 1))
    if weighted:
        note = Diagnostic.note("`blobs` in text are ignored; weights are read from binary files only")
        draft = replace(draft, notes=(*draft.notes, note))
    return draft


def _read_binary(file: MappedFile, name: str) -> Draft:
    from caffe2tf.parse.binary import read_binary  # noqa: PLC0415 - text, the usual form, needs no table of forks

    require_binary_network(file)
    return binary_draft(read_binary(file, name), name)


def binary_draft(read: BinaryNetwork, name: str) -> Draft:
    """Return the draft of a binary network; `name` is the name of the file for positions."""
    draft = draft_of(read.net, read.unknown, binary_places(read.net, name), Position(name))
    return replace(draft, notes=(*draft.notes, *read.notes))


def binary_places(net: caffe_pb2.NetParameter, name: str) -> Places:
    """Return the places of the layers of a binary file: the ``layers`` are counted first, then the ``layer``."""
    count = len(net.layers)
    return {
        "layers": [Position(name, layer=i) for i in range(count)],
        "layer": [Position(name, layer=count + i) for i in range(len(net.layer))],
    }


def draft_of(net: caffe_pb2.NetParameter, unknown: Sequence[UnknownField], places: Places, start: Position) -> Draft:
    """Return the draft of a network.

    Args:
        net: The whole network; it is not changed.
        unknown: Fields that the schema does not know, with paths from the network down.
        places: Where the layers and inputs are.
        start: The start of the file: the place of inputs that `places` does not name.
    """
    owned: defaultdict[tuple[str, int], list[UnknownField]] = defaultdict(list)
    rest = []
    for field in unknown:
        if found := _LAYER_PATH.fullmatch(field.path):
            owned[found[1], int(found[2])].append(replace(field, path=found[3]))
        else:
            rest.append(field)
    layers = tuple(
        ModernLayer(message=layer, where=where, unknown=tuple(owned.get(("layer", index), ())))
        for index, (layer, where) in enumerate(zip(net.layer, places.get("layer", ()), strict=True))
    )
    old = tuple(
        OldLayer(message=layer, where=where, unknown=tuple(owned.get(("layers", index), ())))
        for index, (layer, where) in enumerate(zip(net.layers, places.get("layers", ()), strict=True))
    )
    header = caffe_pb2.NetParameter()
    for descriptor, value in net.ListFields():
        if descriptor.name not in ("layer", "layers"):
            copy_field(header, descriptor, value)
    inputs = next(iter(places.get("input", ())), start)
    return Draft(header=header, old=old, layers=layers, inputs=inputs, unknown=tuple(rest))


def _missing(layers: Sequence[ModernLayer]) -> list[Diagnostic]:
    """Return a problem for each required field that a layer lacks."""
    return [
        Diagnostic(message=f"`{path}` is required; add it", layer=layer.name, where=layer.where)
        for layer in layers
        if not layer.message.IsInitialized()
        for path in _unset(layer.message)
    ]


def _wrong_phases(draft: Draft) -> list[Diagnostic]:
    """Return a problem for each word that is not a phase, as in ``include { phase: train }``.

    Such a rule selects other layers than its author meant, so no layer type can ignore it.
    """
    found = [
        Diagnostic(message=what, layer=layer.name, where=field.where)
        for layer in draft.layers
        for field in layer.unknown
        if _PHASE_PATH.fullmatch(field.path) and (what := describe_word(layer.message, field))
    ]
    network = [
        Diagnostic(message=what, where=field.where)
        for field in draft.unknown
        if field.path == "state.phase" and (what := describe_word(draft.header, field))
    ]
    return [*found, *network]


def _unset(message: Any) -> list[str]:  # noqa: ANN401 - the stubs of generated messages lack this method
    """Return the paths of the required fields that a message lacks."""
    return list(message.FindInitializationErrors())


def _without_layers(draft: Draft, name: str) -> str:
    """Return the message about a text without layers, which depends on what else is in it."""
    found = {field.path: field.value for field in draft.unknown}
    solver = [path for path in found if path in caffe_pb2.SolverParameter.DESCRIPTOR.fields_by_name]
    if solver:
        nets = [found[path] for path in ("net", "train_net", "test_net") if isinstance(found.get(path), str)]
        named = f" that it names: {nets[0]!r}" if nets else ""
        return f"{name}: this is a solver definition (it sets `{solver[0]}`); pass the network definition{named}"
    if found:
        return (
            f"{name}: there are no layers, and `{next(iter(found))}` is not a field of a network definition; {INSTEAD}"
        )
    return f"{name}: there are no layers; {INSTEAD}"
