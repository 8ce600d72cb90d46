"""CropLikeLayer and ReplicateLikeLayer: demosaicnet's layers of Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, keras, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer, same_batch
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["CropLikeLayer", "ReplicateLikeLayer"]


@register("Python:demosaicnet.layers.CropLikeLayer")
@dataclass(frozen=True, slots=True, kw_only=True)
class CropLikeLayer(Layer):
    """The middle of the first bottom, as high and wide as the second; of demosaicnet.

    What is cut off is halved; of an odd number, the smaller half is in front. Of the second bottom only the shape
    matters.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """No parameters."""
        forbid_in_place(proto)
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The second bottom's height and width."""
        for shape in inputs:
            if len(shape) != 4:
                raise LayerError(f"both bottoms must have 4 axes, not {format_shape(shape)}")
        shape, like = inputs
        _check_batches(shape, like)
        _margins(shape, like)
        return ((*shape[:2], *like[2:]),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Always."""
        return Batch.kept_if(all(batched) and same_batch(inputs[0], *outputs))

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last, as Keras crops; of the second bottom any order."""
        del outputs
        last = Layout.channels_last(4)
        return Arrangement(inputs=(last, inputs[1].layout), outputs=(last,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Cropping2D; nothing where nothing is cut off."""
        del ctx
        margins = _margins(inputs[0].shape, inputs[1].shape)
        return keras("Cropping2D", margins)(inputs[0]) if any(map(any, margins)) else inputs[0]


@register("Python:demosaicnet.layers.ReplicateLikeLayer")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicateLikeLayer(Layer):
    """An image of one channel, as high and wide as the second bottom, all of one number; of demosaicnet.

    The number is the first bottom's, which has one for each item of the batch.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """No parameters."""
        forbid_in_place(proto)
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The second bottom's shape with one channel."""
        numbers, like = inputs
        if len(numbers) != 1 or len(like) != 4:
            raise LayerError(
                f"the bottoms must have 1 axis and 4 axes, not {format_shape(numbers)} and {format_shape(like)}"
            )
        _check_batches(numbers, like)
        return ((like[0], 1, *like[2:]),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """The second bottom's order, which is the top's, if the batch is in front."""
        del outputs
        layout = inputs[1].layout
        layout = layout if layout.axes[0] == 0 else Layout.plain(4)
        return Arrangement(inputs=(Layout.plain(1), layout), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        return runtime("ReplicateLike", inputs[1].layout.tensor_axis(1))(*inputs)


def _check_batches(first: Shape, second: Shape) -> None:
    if first[0] is not None and second[0] is not None and first[0] != second[0]:
        raise LayerError(f"both bottoms must have one batch size, not {first[0]} and {second[0]}")


def _margins(shape: Shape, like: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
    """What is cut off above and below, left and right."""
    have, want = (known(s[2:], "height and width of both bottoms") for s in (shape, like))
    (above, below), (left, right) = (((h - w) // 2, h - w - (h - w) // 2) for h, w in zip(have, want, strict=True))
    if min(above, left) < 0:
        raise LayerError(
            f"the second bottom ({format_shape(like)}) must not be higher or wider than the first "
            f"({format_shape(shape)})"
        )
    return (above, below), (left, right)
