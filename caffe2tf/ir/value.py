"""Values, the blobs of a graph, and the trained blobs of its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.weight import Array, Releasable, Weight

__all__ = ["NodeBlob", "Value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A blob between two writes of it.

    Attributes:
        id: unique in its graph; the blob's name, with ``#n`` added to writes that a later one replaces.
        blob: Caffe's name.
        shape: extents in Caffe's axis order.
        layout: order of the values in the Keras tensor.
    """

    id: str
    blob: str
    shape: Shape
    layout: Layout

    @property
    def rank(self) -> int:
        """Count of axes."""
        return len(self.shape)

    @property
    def tensor_shape(self) -> Shape:
        """The shape of the Keras tensor."""
        return self.layout.tensor_shape(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NodeBlob:
    """One trained blob of a node: `array` in Caffe's shape, and what to release when it has been written."""

    array: Array
    source: Releasable | None = None

    @property
    def sources(self) -> tuple[Releasable, ...]:
        """The source, if there is one."""
        return () if self.source is None else (self.source,)

    def weight(self, view: Array | None = None, shape: Sequence[int] | None = None) -> Weight:
        """The blob as a Keras weight, which gives the blob's memory back once it is written.

        Args:
            view: the values in Keras' order: the array transposed, say; None for the array as it is.
            shape: the weight's shape where it is not the view's (same row-major order).
        """
        return Weight.of(self.array if view is None else view, shape, sources=self.sources)
