"""Filter: the items of a batch for which a selector is not 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Filter"]


@register("Filter")
@dataclass(frozen=True, slots=True, kw_only=True)
class Filter(Layer):
    """The items, along axis 0, for which the selector is not 0. The selector is the last bottom.

    The number of items in a top is known only when the network runs. It may be 0.

    Parameters: none.

    Bottoms: two or more; one or more of shape (N, ...), then the selector (N), (N, 1), (N, 1, 1) or the like. Tops: one
    for each bottom except the selector, (K, ...), where K is the number of nonzero values of the selector. Trained
    blobs: none.

    Source: ``src/caffe/layers/filter_layer.cpp``.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, None)
    tops: ClassVar[tuple[int, int | None]] = (1, None)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Check that there is one top for each bottom except the selector; there are no parameters."""
        bottoms, tops = len(proto.bottoms), len(proto.tops)
        if tops != bottoms - 1:
            raise LayerError(
                f"there must be one top for each bottom except the last, the selector; {bottoms} bottoms and {tops} "
                "tops are given"
            )
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shapes of the bottoms except the selector, with an unknown number of items."""
        *shapes, selector = inputs
        if any(d not in (1, None) for d in selector[1:]):
            raise LayerError(
                f"the extents of the selector (last bottom) must be 1 except along axis 0, not {format_shape(selector)}"
            )
        for shape in inputs:
            if not shape:
                raise LayerError("every bottom must have at least one axis, that of the items")
            if None not in (shape[0], selector[0]) and shape[0] != selector[0]:
                raise LayerError(
                    f"every bottom must have as many items along axis 0 as the selector (last bottom), {selector[0]}, "
                    f"not {shape[0]}"
                )
        return tuple((None, *shape[1:]) for shape in shapes)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Fix the batch size: the number of items changes."""
        del batched, inputs, outputs
        return Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep layouts whose first axis is that of the items; use Caffe's order for the others."""
        layouts = tuple(v.layout if v.layout.axes[0] == 0 else Layout.plain(v.rank) for v in inputs)
        return Arrangement(inputs=layouts, outputs=layouts[:-1])

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit one runtime layer for all tops: Keras has no layer that changes the number of items."""
        return runtime("Filter")(*inputs)
