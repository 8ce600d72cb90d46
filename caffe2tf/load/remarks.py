"""Remarks of layers on how they were understood, once for all layers that say the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from caffe2tf.diagnostics import Diagnostic, Hint, Severity
from caffe2tf.ir import Node
from caffe2tf.ir.stub import Stub

__all__ = ["grouped", "remarks_of"]


def remarks_of(nodes: Iterable[Node]) -> list[Diagnostic]:
    """Return a note for each remark, on the first layer that makes it, with the number of the others."""
    return grouped(note for node in nodes for note in _remarks(node))


def grouped(notes: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return each note once, on the first layer that it is about, with the number of the others."""
    first: dict[Diagnostic, Diagnostic] = {}
    for note in notes:
        alike = replace(note, layer=None, where=None)
        known = first.get(alike)
        first[alike] = note if known is None else replace(known, repeats=known.repeats + 1)
    return list(first.values())


def _remarks(node: Node) -> list[Diagnostic]:
    notes = [Diagnostic.note(remark, layer=node.name, where=node.where) for remark in node.layer.remarks()]
    if isinstance(node.layer, Stub):
        notes.append(_on_stub(node, node.layer))
    return notes


def _on_stub(node: Node, stub: Stub) -> Diagnostic:
    message = f"type {stub.type!r} is a stub that you must fill in"
    if None not in stub.given:
        return Diagnostic.note(message, layer=node.name, where=node.where)
    return Diagnostic(
        severity=Severity.NOTE,
        message=f"{message}; its tops are taken to have the shape of its bottom unless you state another",
        layer=node.name,
        where=node.where,
        hint=Hint.INPUT_SHAPE,
        about=("TOP",),
    )
