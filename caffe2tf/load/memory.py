"""Blobs that are aliases of one piece of memory in Caffe.

Split, Reshape and Flatten do not copy, nor do Concat and Slice with one blob on each side: their tops are the bottom's
memory. A layer that works in place on one of these blobs changes all its aliases for the layers that read them later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from caffe2tf.ir import Node, Shape, Value
from caffe2tf.layers import Layer
from caffe2tf.layers.shape.reshape import Reshape
from caffe2tf.layers.shape.split import Split

__all__ = ["Memory", "echo_layer", "echo_node"]


@dataclass(slots=True, kw_only=True, eq=False)
class _Region:
    """One piece of memory.

    Attributes:
        aliases: the blobs in it.
        version: the number of writes in place.
        written: the value of the last one; None before the first.
        writer: the layer that wrote it.
    """

    aliases: set[str]
    version: int = 0
    written: Value | None = None
    writer: str = ""


class Memory:
    """Which blobs are aliases of one another, and which of them are outdated.

    A write in place outdates all other aliases. Each gets a new value only when it is read again, or at the end, so
    that many writes to a blob of many aliases take linear time.
    """

    def __init__(self) -> None:
        self._regions: dict[str, _Region] = {}
        self._versions: dict[str, int] = {}  # blob -> the version of its region that it shows

    def share(self, bottom: str, tops: Iterable[str]) -> None:
        """Make the tops aliases of the bottom, which is up to date."""
        region = self._regions.setdefault(bottom, _Region(aliases={bottom}))
        for top in tops:
            old = self._regions.get(top)
            if old is not None:
                old.aliases.discard(top)
            region.aliases.add(top)
            self._regions[top] = region
        self._versions |= dict.fromkeys((bottom, *tops), region.version)

    def write(self, blob: str, value: Value, *, writer: str, tops: Iterable[str]) -> None:
        """Record a write in place.

        Args:
            blob: the blob that was overwritten.
            value: its new value.
            writer: the layer that wrote it.
            tops: all tops of the layer, which are up to date.
        """
        region = self._regions.get(blob)
        if region is not None:
            region.version += 1
            region.written, region.writer = value, writer
            self._versions |= {top: region.version for top in tops if self._regions.get(top) is region}

    def refresh(self, blob: str) -> tuple[Value, str] | None:
        """Mark a blob as up to date.

        Returns:
            The value from which the blob must be read again, and the layer that wrote it; None if it was up to date.
        """
        region = self._regions.get(blob)
        if region is None or region.written is None or self._versions.get(blob, 0) == region.version:
            return None
        self._versions[blob] = region.version
        return region.written, region.writer

    def aliases(self) -> Sequence[str]:
        """Return all blobs that have aliases, sorted by name."""
        return sorted(self._regions)

    def others(self, blob: str) -> Sequence[str]:
        """Return the other aliases of a blob's memory, sorted by name."""
        region = self._regions.get(blob)
        return sorted(region.aliases - {blob}) if region is not None else []


def echo_node(layer_name: str, written: Value, alias: Value) -> Node:
    """Return the node that gives an alias its new value after a layer wrote to its memory in place.

    Args:
        layer_name: the layer that wrote in place.
        written: the value that it wrote.
        alias: the new version of the alias.
    """
    return Node(
        name=f"{layer_name}@{alias.blob}",
        layer=echo_layer(written.shape, alias.shape),
        inputs=(written.id,),
        outputs=(alias.id,),
        parts=(layer_name,),
        echo=True,
    )


def echo_layer(source: Shape, target: Shape) -> Layer:
    """Return the layer that reads a blob of shape ``source`` as one of shape ``target``."""
    if source == target:
        return Split(count=1)
    return Reshape(shape=tuple(-1 if d is None else d for d in target), axis=0, num_axes=-1)
