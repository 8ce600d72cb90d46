"""Filter: the items of a batch that a selector marks."""

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
    """Of every bottom but the last, the items along axis 0 for which the last bottom, the selector, is not 0.

    There is one top for each of these bottoms. How many items they hold is known only when the network runs.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, None)
    tops: ClassVar[tuple[int, int | None]] = (1, None)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """One top for each bottom but the selector."""
        bottoms, tops = len(proto.bottoms), len(proto.tops)
        if tops != bottoms - 1:
            raise LayerError(
                f"there must be one top for each bottom but the last, the selector: {bottoms} bottoms and {tops} tops "
                "are given"
            )
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """An unknown number of items."""
        *shapes, selector = inputs
        if any(d not in (1, None) for d in selector[1:]):
            raise LayerError(
                f"the extents of the selector (last bottom) must be 1 except along axis 0, not {format_shape(selector)}"
            )
        for shape in inputs:
            if not shape:
                raise LayerError("every bottom must have at least one axis, the items")
            if None not in (shape[0], selector[0]) and shape[0] != selector[0]:
                raise LayerError(
                    f"every bottom must hold as many items along axis 0 as the selector (last bottom), {selector[0]}, "
                    f"not {shape[0]}"
                )
        return tuple((None, *shape[1:]) for shape in shapes)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Never."""
        del batched, inputs, outputs
        return Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any order in which the items stand in front."""
        layouts = tuple(v.layout if v.layout.axes[0] == 0 else Layout.plain(v.rank) for v in inputs)
        return Arrangement(inputs=layouts, outputs=layouts[:-1])

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A runtime layer that filters all of them at once."""
        return runtime("Filter")(*inputs)
