"""SpaceToBatchND and BatchToSpaceND: places of an image become items of the batch, and back."""

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
    """What both have in common.

    Class attributes:
        block: the parameter block.
        sides: its field with two numbers for each axis.

    Attributes:
        blocks: extent of a block along axis 1, 2, and so on.
        margins: what is added or cut off before and after each of these axes.
    """

    block: ClassVar[str]
    sides: ClassVar[str]

    blocks: tuple[int, ...]
    margins: tuple[tuple[int, int], ...]

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """As many pairs as blocks."""
        forbid_in_place(proto)
        given = proto.extra.block(cls.block).only("block_shape", cls.sides)
        blocks, margins = given.whole_numbers("block_shape", least=1), given.whole_numbers(cls.sides, least=0)
        if not blocks:
            raise LayerError(f"{cls.block}.block_shape must be given, once or for several axes")
        if len(margins) != 2 * len(blocks):
            raise LayerError(
                f"{cls.block}.{cls.sides} must be given twice for each of the {len(blocks)} block_shape, "
                f"not {len(margins)} times"
            )
        return cls(blocks=blocks, margins=tuple(zip(margins[::2], margins[1::2], strict=True)))

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Unless something moves between the batch and the image."""
        return Layer.trace_batch(self, batched, inputs, outputs) if set(self.blocks) == {1} else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """The batch in front, and the axes that have blocks in Caffe's order; TensorFlow takes 4 axes of an image."""
        del outputs
        layout = inputs[0].layout
        split = [axis for axis in layout.axes if 0 < axis <= len(self.blocks) and self.blocks[axis - 1] > 1]
        if layout.blocks or layout.axes[0] != 0 or split != sorted(split) or len(self._pairs(layout)) > 4:
            layout = Layout.plain(inputs[0].rank)
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own; nothing where nothing moves."""
        del ctx
        x = inputs[0]
        if set(self.blocks) == {1} and not any(map(any, self.margins)):
            return x
        pairs = self._pairs(x.layout)
        blocks: Literal = tuple(b for b, _ in pairs)
        margins: Literal = tuple(m for _, m in pairs)
        return runtime(type(self).__name__.removesuffix("ND"), blocks, margins)(x)

    def _pairs(self, layout: Layout) -> list[tuple[int, tuple[int, int]]]:
        """Block and margins of the tensor's axes behind the batch, up to the last that has any."""
        by_axis = dict(enumerate(zip(self.blocks, self.margins, strict=True), start=1))
        pairs = [by_axis.get(axis, (1, (0, 0))) for axis in layout.axes[1:]]
        while pairs and pairs[-1] == (1, (0, 0)):
            pairs.pop()
        return pairs

    def _check_axes(self, shape: Shape) -> None:
        if len(shape) <= len(self.blocks):
            raise LayerError(
                f"{self.block}.block_shape is given for {len(self.blocks)} axes after the batch; the bottom has "
                f"{max(len(shape) - 1, 0)} ({format_shape(shape)})"
            )


@register("SpaceToBatchND")
@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceToBatchND(_Blocks):
    """Each place in a block of the bottom becomes an item of the top's batch; of Synopsys' Caffe.

    For one axis with block b, ``y[j N + n, h] = x[n, b h + j - before]``, N being the bottom's batch and 0 standing
    outside the bottom; for several axes j counts the places of a block in row-major order. It is TensorFlow's
    space_to_batch.

    | parameter (space_to_batch_nd_param) | default | meaning |
    |---|---|---|
    | block_shape | required | extent of a block, for axis 1, 2, and so on |
    | paddings | required | for each of these axes, how many zeros before and how many after |

    The batch size is that of the definition. Not computed in place.
    """

    block: ClassVar[str] = "space_to_batch_nd_param"
    sides: ClassVar[str] = "paddings"
    reads_unknown: ClassVar[tuple[str, ...]] = ("space_to_batch_nd_param",)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A larger batch of smaller images."""
        shape = inputs[0]
        self._check_axes(shape)
        top = list(shape)
        for axis, (block, margin) in enumerate(zip(self.blocks, self.margins, strict=True), start=1):
            extent = shape[axis]
            if extent is not None and (extent + sum(margin)) % block:
                raise LayerError(
                    f"axis {axis} with its padding ({extent} + {margin[0]} + {margin[1]}) must be a multiple of its "
                    f"block_shape ({block})"
                )
            top[axis] = None if extent is None else (extent + sum(margin)) // block
        batch = shape[0]
        top[0] = None if batch is None else batch * math.prod(self.blocks)
        return (tuple(top),)


@register("BatchToSpaceND")
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchToSpaceND(_Blocks):
    """Items of the bottom's batch become places in a block of the top; of Synopsys' Caffe.

    It undoes SpaceToBatchND, and cuts margins off then: TensorFlow's batch_to_space.

    | parameter (batch_to_space_nd_param) | default | meaning |
    |---|---|---|
    | block_shape | required | extent of a block, for axis 1, 2, and so on |
    | crops | required | for each of these axes, how much is cut off before and after |

    The batch size is that of the definition. Not computed in place.
    """

    block: ClassVar[str] = "batch_to_space_nd_param"
    sides: ClassVar[str] = "crops"
    reads_unknown: ClassVar[tuple[str, ...]] = ("batch_to_space_nd_param",)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A smaller batch of larger images."""
        shape, places = inputs[0], math.prod(self.blocks)
        self._check_axes(shape)
        top = list(shape)
        batch = shape[0]
        if batch is not None and batch % places:
            raise LayerError(f"the batch ({batch}) must be a multiple of the {places} places of a block")
        top[0] = None if batch is None else batch // places
        for axis, (block, margin) in enumerate(zip(self.blocks, self.margins, strict=True), start=1):
            extent = shape[axis]
            if extent is not None and extent * block <= sum(margin):
                raise LayerError(
                    f"nothing is left of axis {axis}: {extent * block} less {margin[0]} and {margin[1]} of its crops"
                )
            top[axis] = None if extent is None else extent * block - sum(margin)
        return (tuple(top),)
