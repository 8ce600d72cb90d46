"""SpaceToBatchND and BatchToSpaceND: move positions of an image to the batch axis, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, Literal, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["BatchToSpaceND", "SpaceToBatchND"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blocks(Layer):
    """Base class of both layers.

    Class attributes:
        block: the name of the parameter block.
        sides: its field with two numbers for each axis.

    Attributes:
        blocks: extent of a block along axis 1, 2, and so on.
        margins: numbers of values that are added or cropped before and after each of these axes.
    """

    block: ClassVar[str]
    sides: ClassVar[str]

    blocks: tuple[int, ...]
    margins: tuple[tuple[int, int], ...]

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read the extents of a block and as many pairs of margins."""
        forbid_in_place(proto)
        given = proto.extra.block(cls.block).only("block_shape", cls.sides)
        blocks, margins = given.whole_numbers("block_shape", least=1), given.whole_numbers(cls.sides, least=0)
        if not blocks:
            raise LayerError(f"{cls.block}.block_shape is required, once for each axis")
        if len(margins) != 2 * len(blocks):
            raise LayerError(
                f"{cls.block}.{cls.sides} must be given twice for each block_shape ({2 * len(blocks)} times), "
                f"not {len(margins)} times"
            )
        return cls(blocks=blocks, margins=tuple(zip(margins[::2], margins[1::2], strict=True)))

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch if every block has one position, so that nothing moves to or from the batch axis."""
        return Layer.trace_batch(self, batched, inputs, outputs) if set(self.blocks) == {1} else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout if TensorFlow gives Caffe's order of the items in it; else use Caffe's order.

        The batch must be the first axis, and the axes with blocks must follow in Caffe's order. TensorFlow supports at
        most 4 of them.
        """
        del outputs
        layout = inputs[0].layout
        split = [axis for axis in layout.axes if 0 < axis <= len(self.blocks) and self.blocks[axis - 1] > 1]
        if layout.blocks or layout.axes[0] != 0 or split != sorted(split) or len(self._pairs(layout)) > 4:
            layout = Layout.plain(inputs[0].rank)
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer, as Keras has no such layer; nothing if nothing moves."""
        del ctx
        x = inputs[0]
        if set(self.blocks) == {1} and not any(map(any, self.margins)):
            return x
        pairs = self._pairs(x.layout)
        blocks: Literal = tuple(b for b, _ in pairs)
        margins: Literal = tuple(m for _, m in pairs)
        return runtime(type(self).__name__.removesuffix("ND"), blocks, margins)(x)

    def _pairs(self, layout: Layout) -> list[tuple[int, tuple[int, int]]]:
        """Return block and margins of the tensor's axes after the batch, up to the last axis that has any."""
        by_axis = dict(enumerate(zip(self.blocks, self.margins, strict=True), start=1))
        pairs = [by_axis.get(axis, (1, (0, 0))) for axis in layout.axes[1:]]
        while pairs and pairs[-1] == (1, (0, 0)):
            pairs.pop()
        return pairs

    def _check_axes(self, shape: Shape) -> None:
        if len(shape) <= len(self.blocks):
            raise LayerError(
                f"{self.block}.block_shape is given for {len(self.blocks)} axes after the batch axis; the bottom "
                f"({format_shape(shape)}) has {max(len(shape) - 1, 0)}"
            )


@register("SpaceToBatchND")
@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceToBatchND(_Blocks):
    """Each position in a block becomes an item of the batch, as in TensorFlow's ``space_to_batch`` (Synopsys).

    For one axis with blocks of extent b: ``y[j * N + n, h] = x[n, b * h + j - before]``. Values outside the bottom are
    0. For several axes, j numbers the positions of a block in row-major order.

    The batch size of the converted network is that of the definition. The layer cannot work in place.

    | parameter (``space_to_batch_nd_param``) | default | meaning |
    |---|---|---|
    | block_shape | required | extent of a block along axis 1, 2, and so on |
    | paddings | required | for each of these axes: the number of zeros before, then the number after |

    Bottoms: one, (N, H, ...), each axis of which with its padding is a multiple of its block. Tops: one,
    (N * product of the blocks, (before + H + after) / b, ...). Trained blobs: none.

    Source: ``src/caffe/layers/space_to_batch_nd_layer.cpp`` of
    github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    block: ClassVar[str] = "space_to_batch_nd_param"
    sides: ClassVar[str] = "paddings"
    reads_unknown: ClassVar[tuple[str, ...]] = ("space_to_batch_nd_param",)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return a larger batch of smaller images."""
        shape = inputs[0]
        self._check_axes(shape)
        top = list(shape)
        for axis, (block, margin) in enumerate(zip(self.blocks, self.margins, strict=True), start=1):
            extent = shape[axis]
            if extent is not None and (extent + sum(margin)) % block:
                raise LayerError(
                    f"the extent of axis {axis} with its padding ({extent} + {margin[0]} + {margin[1]}) must be a "
                    f"multiple of its block_shape ({block})"
                )
            top[axis] = None if extent is None else (extent + sum(margin)) // block
        batch = shape[0]
        top[0] = None if batch is None else batch * math.prod(self.blocks)
        return (tuple(top),)


@register("BatchToSpaceND")
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchToSpaceND(_Blocks):
    """Items of the batch become positions in a block, as in TensorFlow's ``batch_to_space`` (Synopsys).

    The inverse of `SpaceToBatchND`. For one axis with blocks of extent b, and N items in the top: ``y[n, b * h + j -
    before] = x[j * N + n, h]``, where `before` values at the start and `after` at the end are cropped. For several
    axes, j numbers the positions of a block in row-major order.

    The batch size of the converted network is that of the definition. The layer cannot work in place.

    | parameter (``batch_to_space_nd_param``) | default | meaning |
    |---|---|---|
    | block_shape | required | extent of a block along axis 1, 2, and so on |
    | crops | required | for each of these axes: the number of values cropped before, then the number after |

    Bottoms: one, (N * product of the blocks, H, ...). Tops: one, (N, b * H - before - after, ...). Trained blobs: none.

    Source: ``src/caffe/layers/batch_to_space_nd_layer.cpp`` of
    github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    block: ClassVar[str] = "batch_to_space_nd_param"
    sides: ClassVar[str] = "crops"
    reads_unknown: ClassVar[tuple[str, ...]] = ("batch_to_space_nd_param",)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return a smaller batch of larger images."""
        shape, positions = inputs[0], math.prod(self.blocks)
        self._check_axes(shape)
        top = list(shape)
        batch = shape[0]
        if batch is not None and batch % positions:
            raise LayerError(f"the batch size ({batch}) must be a multiple of the {positions} positions of a block")
        top[0] = None if batch is None else batch // positions
        for axis, (block, margin) in enumerate(zip(self.blocks, self.margins, strict=True), start=1):
            extent = shape[axis]
            if extent is not None and extent * block <= sum(margin):
                raise LayerError(
                    f"{self.block}.crops ({margin[0]} and {margin[1]}) leave nothing of axis {axis}, "
                    f"whose extent before cropping is {extent * block}"
                )
            top[axis] = None if extent is None else extent * block - sum(margin)
        return (tuple(top),)
