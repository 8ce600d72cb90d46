"""CropLikeLayer and ReplicateLikeLayer: demosaicnet's Python layers."""

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
    """The center of the first bottom, with the height and width of the second (demosaicnet).

    ``y[n, c, h, w] = x[n, c, h + (H - H') // 2, w + (W - W') // 2]``: if an odd number of rows or columns is cropped,
    one fewer is cropped at the start. Only the shape of the second bottom matters. Its channels are ignored. The layer
    cannot work in place.

    Parameters: none.

    Bottoms: two, (N, C, H, W) and (N, any, H', W'). Tops: one, (N, C, H', W'). Trained blobs: none.

    Source: ``demosaicnet/layers.py`` of github.com/mgharbi/demosaicnet_caffe.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Check that the layer does not work in place; it has no parameters."""
        forbid_in_place(proto)
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the first bottom's shape with the second bottom's height and width."""
        for shape in inputs:
            if len(shape) != 4:
                raise LayerError(f"both bottoms must have 4 axes, not {format_shape(shape)}")
        shape, like = inputs
        _check_batches(shape, like)
        _margins(shape, like)
        return ((*shape[:2], *like[2:]),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch of the first bottom."""
        return Batch.kept_if(all(batched) and same_batch(inputs[0], *outputs))

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC for the first bottom, and any layout for the second, of which only the shape is read."""
        del outputs
        last = Layout.channels_last(4)
        return Arrangement(inputs=(last, inputs[1].layout), outputs=(last,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Cropping2D; nothing if nothing is cropped."""
        del ctx
        margins = _margins(inputs[0].shape, inputs[1].shape)
        return keras("Cropping2D", margins)(inputs[0]) if any(map(any, margins)) else inputs[0]


@register("Python:demosaicnet.layers.ReplicateLikeLayer")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicateLikeLayer(Layer):
    """``y[n, 0, h, w] = x[n]``: one number for each item of the batch, repeated over an image (demosaicnet).

    Only the shape of the second bottom matters. The layer cannot work in place.

    Parameters: none.

    Bottoms: two, x (N) and (N, any, H, W). Tops: one, (N, 1, H, W). Trained blobs: none.

    Source: ``demosaicnet/layers.py`` of github.com/mgharbi/demosaicnet_caffe.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Check that the layer does not work in place; it has no parameters."""
        forbid_in_place(proto)
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the second bottom's shape with one channel."""
        numbers, like = inputs
        if len(numbers) != 1 or len(like) != 4:
            raise LayerError(
                f"the bottoms must have 1 axis and 4 axes, not {format_shape(numbers)} and {format_shape(like)}"
            )
        _check_batches(numbers, like)
        return ((like[0], 1, *like[2:]),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use the second bottom's layout for the top, if its first axis is the batch."""
        del outputs
        layout = inputs[1].layout
        layout = layout if layout.axes[0] == 0 else Layout.plain(4)
        return Arrangement(inputs=(Layout.plain(1), layout), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras has no layer that repeats a number over an image."""
        del ctx
        return runtime("ReplicateLike", inputs[1].layout.tensor_axis(1))(*inputs)


def _check_batches(first: Shape, second: Shape) -> None:
    if first[0] is not None and second[0] is not None and first[0] != second[0]:
        raise LayerError(f"both bottoms must have the same batch size, not {first[0]} and {second[0]}")


def _margins(shape: Shape, like: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the numbers of rows (above, below) and of columns (left, right) that are cropped."""
    have, want = (known(s[2:], "height and width of both bottoms") for s in (shape, like))
    (above, below), (left, right) = (((h - w) // 2, h - w - (h - w) // 2) for h, w in zip(have, want, strict=True))
    if min(above, left) < 0:
        raise LayerError(
            f"the second bottom ({format_shape(like)}) must not be higher or wider than the first "
            f"({format_shape(shape)})"
        )
    return (above, below), (left, right)
