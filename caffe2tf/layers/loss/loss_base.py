"""What losses and metrics have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import Expr
from caffe2tf.ir.layer import Batch, Context, Layer, Role, same_batch
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, canonical_axis, count, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.arithmetic.eltwise import agreed_layout
from caffe2tf.layers.registry import type_of

__all__ = [
    "Loss",
    "check_first_axes",
    "check_labels",
    "class_axis",
    "layout_by_class",
    "layout_in_order",
    "layouts_of_pair",
    "legacy_extent",
]


class Loss(Layer):
    """A loss or a metric: computed where asked for, left out of a converted network otherwise.

    Its first top is a scalar, of which a loss without tops has one too.

    Class attributes:
        first_target: index of the first bottom that holds targets (labels), which nothing else may need.
        computable: whether it can be computed at all; one that cannot is left out even where losses are asked for.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)
    tops: ClassVar[tuple[int, int | None]] = (0, 1)
    role: ClassVar[Role] = Role.LOSS
    first_target: ClassVar[int] = 1
    computable: ClassVar[bool] = True

    __slots__ = ()

    def activation(self) -> Layer | None:
        """The activation that the loss applies to its first bottom, for use without it; None where it has none."""
        return None

    def type_name(self) -> str:
        """Caffe's name of its type."""
        return type_of(type(self))

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """A loss sums over a batch of any size, which must be the same for all that it reads."""
        del outputs
        return Batch.kept_if(all(batched) and same_batch(*inputs))

    def emit(self, ctx: Context, *inputs: Value) -> Expr | tuple[Expr, ...]:
        """What a loss that is not `computable` answers; it is never asked, for `caffe2tf.passes` leaves it out."""
        del ctx, inputs
        raise LayerUnsupportedError("it serves training, and is not computed")


def class_axis(axis: int, shape: Shape, field: str) -> int:
    """The axis of the classes, counted from the front; raises LayerError where a blob of ``shape`` has no such axis."""
    if not shape:
        raise LayerError(f"{field}: a blob without axes has none for the classes")
    try:
        return canonical_axis(axis, len(shape))
    except ValueError as e:
        raise LayerError(f"{field}: {e}") from None


def check_first_axes(inputs: Sequence[Shape]) -> None:
    """Caffe's rule for every loss: predictions and targets have the same first extent."""
    if not (inputs[0] and inputs[1]):
        raise LayerError("a loss takes blobs with at least one axis")
    first, second = inputs[0][0], inputs[1][0]
    if first is not None and second is not None and first != second:
        raise LayerError(f"predictions and labels must have the same first extent: {first} and {second} are given")


def check_labels(scores: Shape, labels: Shape, axis: int) -> None:
    """Caffe's rule for labels that name classes: one for each index of the other axes of the scores."""
    wanted, have = count(scores[:axis] + scores[axis + 1 :]), count(labels)
    if wanted is not None and have is not None and wanted != have:
        raise LayerError(
            f"there must be one label for each prediction: {wanted} ({format_shape(scores)} without axis {axis}), "
            f"not {have} ({format_shape(labels)})"
        )


def legacy_extent(shape: Shape, index: int) -> int | None:
    """The extent of what was once num, channels, height or width: 1 for an axis that is not there."""
    if len(shape) > 4:
        raise LayerError(f"the layer takes blobs of at most 4 axes, not {format_shape(shape)}")
    return shape[index] if index < len(shape) else 1


def layout_in_order(value: Value) -> Layout:
    """The layout of ``value`` where its tensor, read as one row, is in Caffe's order; else Caffe's own layout."""
    layout = value.layout
    long = [a for a in layout.axes if value.shape[a] != 1]
    if layout.blocks or long != sorted(long) or layout.axes[:1] != (0,):
        return Layout.plain(value.rank)
    return layout


def layout_by_class(value: Value, axis: int) -> Layout:
    """The layout of ``value`` where the axes besides ``axis`` are in Caffe's order; else Caffe's own layout."""
    layout = value.layout
    others = [a for a in layout.axes if a != axis]
    return Layout.plain(value.rank) if layout.blocks or others != sorted(others) else layout


def layouts_of_pair(first: Value, second: Value) -> tuple[Layout, Layout]:
    """Layouts in which equal places of two tensors, each read as one row, hold what belongs together."""
    if first.shape == second.shape:
        layout = agreed_layout((first, second))
        layout = layout if layout.axes[:1] == (0,) else Layout.plain(first.rank)
        return layout, layout
    return layout_in_order(first), layout_in_order(second)
