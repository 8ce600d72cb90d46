"""Blobs that are one piece of memory in Caffe: writing one in place changes the others.

Split, Reshape, Flatten, and Concat or Slice with one blob on each side do not copy: their tops are the bottom's memory.
A layer that overwrites such a top changes the bottom, and every other name of that memory, for whoever reads it later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from caffe2tf.ir import Shape
from caffe2tf.layers import Layer
from caffe2tf.layers.shape.reshape import Reshape
from caffe2tf.layers.shape.split import Split

__all__ = ["Memory", "echo_layer"]


class Memory:
    """Which blobs lie in the same memory."""

    def __init__(self) -> None:
        self._groups: dict[str, set[str]] = {}

    def share(self, bottom: str, tops: Iterable[str]) -> None:
        """The tops are the bottom's memory from now on."""
        group = self._groups.setdefault(bottom, {bottom})
        for top in tops:
            self._groups.get(top, set()).discard(top)
            group.add(top)
            self._groups[top] = group

    def others(self, blob: str) -> Sequence[str]:
        """The other blobs in the memory of ``blob``."""
        return sorted(self._groups.get(blob, set()) - {blob})


def echo_layer(source: Shape, target: Shape) -> Layer:
    """The layer that gives the values of a blob of shape ``source`` as those of one of shape ``target``."""
    if source == target:
        return Split(count=1)
    return Reshape(shape=tuple(-1 if d is None else d for d in target), axis=0, num_axes=-1)
