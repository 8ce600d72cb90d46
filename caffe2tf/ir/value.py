"""Values, the blobs of a graph, and the trained blobs of its nodes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from caffe2tf.ir.layout import Layout
from caffe2tf.ir.origin import Recipe, origin_of_views
from caffe2tf.ir.parameter import Member
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.weight import Array, Releasable, Weight

__all__ = ["NodeBlob", "Value", "computed_weight"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One SSA version of a blob: what it holds from one write to the next.

    Attributes:
        id: unique in its graph: the name of the blob, and ``#n`` for its second and later versions.
        blob: the name of the blob.
        shape: extents in Caffe's axis order.
        layout: order of the values in the Keras tensor.
    """

    id: str
    blob: str
    shape: Shape
    layout: Layout

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def tensor_shape(self) -> Shape:
        """The shape of the Keras tensor."""
        return self.layout.tensor_shape(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NodeBlob:
    """One trained blob of a node.

    Attributes:
        array: the values, in Caffe's shape.
        memory: what to release once the blob has been written; None if it is not memory-mapped.
        member: which Caffe blob it is: layers that share a parameter have the same one. None if nobody asks for the
            origin of the weights that are made of it.
    """

    array: Array
    memory: Releasable | None = None
    member: Member | None = None

    @property
    def releasable(self) -> tuple[Releasable, ...]:
        """The memory to release, if there is any."""
        return () if self.memory is None else (self.memory,)

    def weight(self, view: Array | None = None, shape: Sequence[int] | None = None) -> Weight:
        """Return the blob as a Keras weight. Its memory is released once the weight is written.

        Args:
            view: the values in Keras' order: a view of `array`, transposed for example; None for `array` itself.
            shape: the shape of the weight, if it is not that of the view (same row-major order).
        """
        view = self.array if view is None else view
        return self.joined((view,), view.shape if shape is None else shape)

    def joined(self, views: Sequence[Array], shape: Sequence[int]) -> Weight:
        """Return a Keras weight that consists of several views of the blob, one after the other.

        Args:
            views: views of `array`, whose values in row-major order are those of the weight.
            shape: the shape of the weight.
        """
        origin = None if self.member is None else origin_of_views(self.member, self.array, views)
        return Weight(shape=tuple(shape), parts=tuple(views), memory=self.releasable, origin=origin)


def computed_weight(
    parts: Sequence[Array], shape: Sequence[int], *, recipe: str, blobs: Sequence[NodeBlob], depends: Hashable = None
) -> Weight:
    """Return a Keras weight whose values a layer computes, where no view of one blob gives them.

    Args:
        parts: the computed values, one array after the other.
        shape: the shape of the weight.
        recipe: a name for the computation. A name stands for the same computation wherever it is used.
        blobs: the blobs that it reads.
        depends: everything besides the blobs that the values depend on.
    """
    members = [b.member for b in blobs if b.member is not None]
    known = len(members) == len(blobs)
    origin = Recipe(name=recipe, blobs=tuple(members), depends=depends) if known else None
    memory = tuple(m for b in blobs for m in b.releasable)
    return Weight(shape=tuple(shape), parts=tuple(parts), memory=memory, origin=origin)
