"""Base class of Scale and Bias: a blob that covers some axes of another is broadcast along the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Call, Expr, Literal, keras, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, canonical_axis, format_shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.extents import known

__all__ = ["AlongAxes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlongAxes(Layer):
    """A layer that combines its first bottom with a blob that covers `num_axes` of its axes, from `axis` on.

    Class attributes:
        block: the parameter block, for messages.

    Attributes:
        axis: the first covered axis; negative numbers count from the end.
        num_axes: the number of axes that a trained blob covers; -1 for all from `axis` on, 0 for a scalar. It is
            ignored for a computed blob, which covers as many axes as it has.
        computed: whether the blob is a second bottom, not a trained one.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)
    block: ClassVar[str]

    axis: int
    num_axes: int
    computed: bool

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the first bottom, if the second one fits it."""
        covered = self.covered(*inputs)
        if self.computed:
            for axis, own in zip(covered, inputs[1], strict=True):
                extent = inputs[0][axis]
                if extent != own and extent is not None and own is not None:
                    raise LayerError(
                        f"from axis {covered.start} on, the second bottom ({format_shape(inputs[1])}) must have the "
                        f"extents of the first ({format_shape(inputs[0])}); "
                        f"set {self.block}.axis to the axis from which they agree"
                    )
        return (inputs[0],)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Fix the batch size if a trained blob covers axis 0, or a computed one does not."""
        over_batch = 0 in self.covered(*inputs)
        return Layer.trace_batch(self, batched, inputs, outputs) if over_batch == self.computed else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout of the first bottom; order the second one like the axes that it covers."""
        del outputs
        x = inputs[0].layout
        if not self.computed:
            return Arrangement(inputs=(x,), outputs=(x,))
        covered = self.covered(*(v.shape for v in inputs))
        if x.blocks and covered == range(1, 2):
            x = Layout.plain(2)  # a blob of one axis can only be in Caffe's order
        blocks = x.blocks if 1 in covered else ()
        other = Layout(tuple(a - covered.start for a in x.axes if a in covered), blocks)
        return Arrangement(inputs=(x, other), outputs=(x,))

    def covered(self, *inputs: Shape) -> range:
        """Return the axes of the first bottom that the blob covers.

        Raises:
            LayerError: the bottom does not have them.
        """
        rank = len(inputs[0])
        if self.computed and not inputs[1]:
            return range(0)  # Caffe ignores `axis` for a scalar
        first = self.canonical(rank)
        count = len(inputs[1]) if self.computed else rank - first if self.num_axes == -1 else self.num_axes
        if first + count > rank:
            covering = f"the second bottom has {count} axes" if self.computed else f"{self.block}.num_axes is {count}"
            raise LayerError(f"{covering}, but the first bottom has only {rank - first} axes from axis {first} on")
        return range(first, first + count)

    def canonical(self, rank: int) -> int:
        """Return `axis` for a bottom of ``rank`` axes, counted from the front.

        Raises:
            LayerError: it is out of range.
        """
        try:
            return canonical_axis(self.axis, rank)
        except ValueError as e:
            raise LayerError(f"{self.block}.axis: {e}") from None

    def trained_shape(self, *inputs: Shape) -> tuple[int, ...]:
        """Return Caffe's shape of a trained blob."""
        covered = self.covered(*inputs)
        return known(inputs[0][covered.start : covered.stop], "the extents that the layer's trained blob covers")

    def tensor_axes(self, inputs: Sequence[Value]) -> tuple[int, ...]:
        """Return the axes of the first tensor that the blob covers, in ascending order."""
        covered = self.covered(*(v.shape for v in inputs))
        return tuple(i for i, a in enumerate(inputs[0].layout.axes) if a in covered)

    def argument(self, inputs: Sequence[Value]) -> Literal:
        """Return the argument ``axis`` of the runtime layers, which omit it for the last axis alone."""
        axes = self.tensor_axes(inputs)
        if axes == (inputs[0].rank - 1,):
            return OMIT
        return axes[0] if len(axes) == 1 else axes

    def as_weight(self, blob: NodeBlob, inputs: Sequence[Value]) -> Weight:
        """Convert a trained blob to a weight, in the order of the first tensor's axes."""
        layout = inputs[0].layout
        covered = self.covered(*(v.shape for v in inputs))
        if layout.blocks and 1 in covered:  # a flattened blob has two axes, the batch first
            rows = blob.array.reshape(-1, blob.array.shape[-1])
            return blob.joined([v for row in rows for v in layout.ordered_views(row)], blob.array.shape)
        return blob.weight(np.transpose(blob.array, [a - covered.start for a in layout.axes if a in covered]))

    def join(self, merge: str, fallback: str, inputs: Sequence[Value], *, role: str = "") -> Call:
        """Combine the two bottoms with Keras' layer ``merge`` if possible, else with the runtime layer ``fallback``.

        Keras' merging layers require the batch as first axis of both inputs; the runtime layer takes any axes.
        """
        x, a = inputs
        axes = self.tensor_axes(inputs)
        rest = a.tensor_shape[1:]
        if not axes or axes[0] != 0 or x.layout.axes[0] != 0 or None in rest:
            return runtime(fallback, axis=self.argument(inputs), role=role)(x, a)
        extents = dict(zip(axes, a.tensor_shape, strict=True))
        target = tuple(extents.get(i, 1) for i in range(1, x.rank))
        same: Expr = a if len(axes) == x.rank else keras("Reshape", target, role="reshape")(a)
        # If only one axis of Add's second input is longer than 1, Keras takes it for a bias of axis 1 or the last one.
        return keras(merge, role=role)(*((same, x) if merge == "Add" else (x, same)))
