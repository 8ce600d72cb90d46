"""Blobs that are aliases of one piece of memory in Caffe.

Split, Reshape and Flatten do not copy, nor do Concat and Slice with one blob on each side: their tops are the bottom's
memory. A layer that works in place on one of these blobs changes all its aliases for the layers that read them later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from caffe2tf.ir import Node, Shape, Value
from caffe2tf.layers import Layer
from caffe2tf.layers.shape.reshape import Reshape
from caffe2tf.layers.shape.split import Split

__all__ = ["Memory", "echo_layer", "echo_node"]


class Memory:
    """Which blobs are aliases of one another."""

    def __init__(self) -> None:
        self._groups: dict[str, set[str]] = {}

    def share(self, bottom: str, tops: Iterable[str]) -> None:
        """Make the tops aliases of the bottom."""
        group = self._groups.setdefault(bottom, {bottom})
        for top in tops:
            self._groups.get(top, set()).discard(top)
            group.add(top)
            self._groups[top] = group

    def others(self, blob: str) -> Sequence[str]:
        """Return the other aliases of a blob's memory, sorted by name."""
        return sorted(self._groups.get(blob, set()) - {blob})


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
