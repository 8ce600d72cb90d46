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
    """Every top is the bottom.

    Caffe puts such layers in by itself where a blob is read more than once. They need no layer in Keras. Not computed
    in place.
    """

    tops: ClassVar[tuple[int, int | None]] = (1, None)

    count: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The count of tops."""
        forbid_in_place(proto)
        return cls(count=len(proto.tops))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of the bottom, for each top."""
        return (inputs[0],) * self.count

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Always."""
        return True

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any order."""
        layout: Layout = inputs[0].layout
        return Arrangement(inputs=(layout,), outputs=(layout,) * len(outputs))

    def emit(self, ctx: Context, *inputs: Value) -> tuple[Expr, ...]:
        """The bottom itself."""
        return (inputs[0],) * self.count


def forbid_in_place(proto: LayerProto) -> None:
    """Raises LayerError where a top overwrites a bottom: Caffe refuses that in layers that share their memory."""
    for top in proto.tops:
        if top in proto.bottoms:
            raise LayerError(f"a {proto.type} layer is not computed in place: give top {top!r} another name")
