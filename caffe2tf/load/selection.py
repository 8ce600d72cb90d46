"""The layers of a definition that exist for a NetState, with the inputs that they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from caffe2tf.diagnostics import Diagnostic
from caffe2tf.layers import Role, find

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition, NetworkDefinition

__all__ = ["is_source", "select_layers", "unwritten"]


def is_source(definition: LayerDefinition) -> bool:
    """Whether the layer's tops come from outside the network."""
    cls = find(definition.type, definition)
    return cls is not None and cls.role is Role.SOURCE


def select_layers(
    definition: NetworkDefinition, *, phase: str, stages: Sequence[str] = (), level: int = 0
) -> NetworkDefinition:
    """The layers that Caffe keeps for a NetState, and data layers of another one where only those give the data.

    Many training definitions have their data layer in one phase alone. Caffe would refuse the other phase; here the
    data layer becomes an input as any other does, with a note.

    Raises:
        UsageError: the state is none.
        NetworkError: a layer has both include and exclude rules.
    """
    selected = definition.select(phase=phase, stages=stages, level=level)
    missing = unwritten(selected.layers)
    adopted: list[LayerDefinition] = []
    notes: list[Diagnostic] = []
    kept = {id(d) for d in selected.layers}
    for layer in definition.layers:
        wanted = missing.intersection(layer.tops)
        if id(layer) not in kept and wanted and is_source(layer):
            adopted.append(layer)
            missing.difference_update(layer.tops)
            names = ", ".join(sorted(wanted))
            message = f"no layer writes {names} in phase {phase}; this layer of the other phase is used instead"
            notes.append(Diagnostic.note(message, layer=layer.name, where=layer.where))
    if not adopted:
        return selected
    return replace(selected, layers=(*adopted, *selected.layers), notes=(*selected.notes, *notes))


def unwritten(layers: Sequence[LayerDefinition]) -> set[str]:
    """Blobs that are read before any layer gives them, and given by none later."""
    given: set[str] = set()
    missing: set[str] = set()
    for layer in layers:
        missing.update(b for b in layer.bottoms if b not in given)
        given.update(layer.tops)
    return missing - given
