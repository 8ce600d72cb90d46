"""Selects the layers of a definition that exist for a NetState, and the data layers that they need."""

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
    """Return whether the layer is a source: its tops come from outside the network."""
    cls = find(definition.type, definition)
    return cls is not None and cls.role is Role.SOURCE


def select_layers(
    definition: NetworkDefinition, *, phase: str, stages: Sequence[str] = (), level: int = 0
) -> NetworkDefinition:
    """Return the definition with only the layers that Caffe keeps for a NetState.

    Many training definitions have a data layer only in one phase. Caffe refuses the other phase. Here a data layer that
    Caffe would drop is kept, with a note, if no other layer writes its tops: it becomes an input like any data layer.

    Raises:
        UsageError: the phase or the level is invalid.
        NetworkError: a layer has both include and exclude rules.
    """
    selected = definition.select(phase=phase, stages=stages, level=level)
    missing = unwritten(selected.layers)
    adopted: list[LayerDefinition] = []
    notes: list[Diagnostic] = []
    for layer in definition.layers:
        wanted = missing.intersection(layer.tops)
        if wanted and not layer.exists_in(selected.state) and is_source(layer):
            adopted.append(layer.in_phase(selected.state.phase))
            missing.difference_update(layer.tops)
            names = ", ".join(sorted(wanted))
            message = f"no layer writes {names} in phase {phase}; this layer is used, although its rules exclude it"
            notes.append(Diagnostic.note(message, layer=layer.name, where=layer.where))
    if not adopted:
        return selected
    return replace(selected, layers=(*adopted, *selected.layers), notes=(*selected.notes, *notes))


def unwritten(layers: Sequence[LayerDefinition]) -> set[str]:
    """Return the blobs that a layer reads and no layer writes."""
    written: set[str] = set()
    missing: set[str] = set()
    for layer in layers:
        missing.update(b for b in layer.bottoms if b not in written)
        written.update(layer.tops)
    return missing - written
