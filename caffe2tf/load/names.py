"""Names while a network is read: the value that a blob's name stands for, and unique names for nodes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from caffe2tf.ir import Layout, Shape, Value

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition

__all__ = ["AUTOMATIC", "Blobs", "NodeNames"]

AUTOMATIC = "(automatic)"
"""Caffe's name for the top of a loss that the definition gives no top."""

_COMPARED = 50_000  # names compared in all, about a second of work; after that no more suggestions are made


class Blobs:
    """The values of blobs. Each write of a blob makes a new SSA version of it, and its name stands for the latest.

    Attributes:
        values: every value by its id.
        writers: for each blob, the layer that wrote it first.
    """

    def __init__(self, values: dict[str, Value] | None = None) -> None:
        self.values: dict[str, Value] = {} if values is None else values
        self.writers: dict[str, str] = {}
        self._latest: dict[str, Value | None] = {}
        self._versions: dict[str, int] = {}
        self._compared = 0

    def __contains__(self, blob: str) -> bool:
        return blob in self._latest

    def latest(self, blob: str) -> Value | None:
        """Return the latest value of a blob; None if it is unknown because of a problem that was reported."""
        return self._latest.get(blob)

    def write(self, blob: str, shape: Shape, *, writer: str) -> Value:
        """Return the value of a new version of a blob."""
        value = Value(id=self._fresh(blob), blob=blob, shape=shape, layout=Layout.plain(len(shape)))
        self.writers.setdefault(blob, writer)
        self.values[value.id] = value
        self._latest[blob] = value
        return value

    def write_unknown(self, blob: str, *, writer: str) -> None:
        """Record that a layer writes a blob whose value cannot be told, because of a problem that was reported."""
        self.writers.setdefault(blob, writer)
        self._latest[blob] = None

    def mark_missing(self, blob: str) -> None:
        """Record that no layer writes a blob, so that the problem is reported once."""
        self._latest[blob] = None

    def suggestion(self, blob: str) -> str:
        """Return a remark on the blob with the most similar name, for a message; empty if there is none.

        If very many blobs are missing, only the first of them get a suggestion, because the search is slow.
        """
        if self._compared > _COMPARED:
            return ""
        self._compared += len(self.writers)
        close = difflib.get_close_matches(blob, self.writers, n=1)
        return f" (did you mean {close[0]!r}?)" if close else ""

    def _fresh(self, blob: str) -> str:
        """Return an unused id. Ids are never freed, so the search continues where the last one ended."""
        name, version = blob, self._versions.get(blob, 1)
        while name in self.values:
            version += 1
            name = f"{blob}#{version}"
        self._versions[blob] = version
        return name


class NodeNames:
    """Names of nodes: the layer's own, made unique."""

    def __init__(self, taken: Mapping[str, object]) -> None:
        self._taken = taken
        self._namesakes: dict[str, int] = {}

    def unique(self, definition: LayerDefinition, position: int) -> tuple[str, bool]:
        """Return a name for the node of a layer, and whether another layer has the layer's name.

        Args:
            definition: the layer; if it has no name, its type and position make one.
            position: the number of nodes before it.
        """
        name = definition.name or f"{definition.type.lower()}{position}"
        if name not in self._taken:
            return name, False
        number = self._namesakes.get(name, 1) + 1
        while f"{name}#{number}" in self._taken:
            number += 1
        self._namesakes[name] = number
        return f"{name}#{number}", True
