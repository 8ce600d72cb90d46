"""Split: one blob under several names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Split", "forbid_in_place"]


@register("Split")
@dataclass(frozen=True, slots=True, kw_only=True)
class Split(Layer):
    """``y = x`` for each top.

    Caffe inserts such layers itself if several layers read a blob. The converted network has no layer for them. The
    layer cannot work in place. Its tops share the memory of its bottom.

    Parameters: none.

    Bottoms: one, of any shape. Tops: one or more, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/split_layer.cpp``.
    """

    tops: ClassVar[tuple[int, int | None]] = (1, None)

    count: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read the number of tops; there are no parameters."""
        forbid_in_place(proto)
        return cls(count=len(proto.tops))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom for each top."""
        return (inputs[0],) * self.count

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Return True: Caffe does not copy the values."""
        return True

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout."""
        layout: Layout = inputs[0].layout
        return Arrangement(inputs=(layout,), outputs=(layout,) * len(outputs))

    def emit(self, ctx: Context, *inputs: Value) -> tuple[Expr, ...]:
        """Emit nothing: each top is the bottom."""
        return (inputs[0],) * self.count


def forbid_in_place(proto: LayerProto) -> None:
    """Check that a layer does not work in place.

    Raises:
        LayerError: a top has the name of a bottom.
    """
    for top in proto.tops:
        if top in proto.bottoms:
            raise LayerError(f"a {proto.type} layer is not computed in place: give top {top!r} another name")
