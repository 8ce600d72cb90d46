"""Base class of losses and metrics, their checks, and the layouts in which they compare blobs."""

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
    """A loss or a metric. It is left out of a converted network unless losses are requested.

    The first top is usually a scalar. Caffe adds it to a loss that has no tops in the definition.

    Class attributes:
        first_target: index of the first bottom that holds targets, such as labels. Whatever only computes targets is
            left out together with the loss.
        computable: whether caffe2tf can compute the layer. If not, it is left out even if losses are requested.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)
    tops: ClassVar[tuple[int, int | None]] = (0, 1)
    role: ClassVar[Role] = Role.LOSS
    first_target: ClassVar[int] = 1
    computable: ClassVar[bool] = True

    __slots__ = ()

    def activation(self) -> Layer | None:
        """Return the activation inside the loss, which replaces the loss in a deployed network; None if it has none."""
        return None

    def type_name(self) -> str:
        """Return Caffe's name of the layer type."""
        return type_of(type(self))

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Take a batch of any size if all bottoms have the same one."""
        del outputs
        return Batch.kept_if(all(batched) and same_batch(*inputs))

    def emit(self, ctx: Context, *inputs: Value) -> Expr | tuple[Expr, ...]:
        """Refuse. Computable losses override this; `caffe2tf.passes.drop_losses` removes all others."""
        del ctx, inputs
        raise LayerUnsupportedError("computing this loss is not supported")


def class_axis(axis: int, shape: Shape, field: str) -> int:
    """Return the axis of the classes, counted from the front.

    Args:
        axis: the parameter; negative numbers count from the end.
        shape: shape of the scores.
        field: name of the parameter, for the message.

    Raises:
        LayerError: the scores have no such axis.
    """
    if not shape:
        raise LayerError(f"{field}: the scores must have at least one axis")
    try:
        return canonical_axis(axis, len(shape))
    except ValueError as e:
        raise LayerError(f"{field}: {e}") from None


def check_first_axes(inputs: Sequence[Shape]) -> None:
    """Check Caffe's rule for every loss: predictions and targets have the same extent along axis 0.

    Raises:
        LayerError: the extents differ, or a blob has no axes.
    """
    if not (inputs[0] and inputs[1]):
        raise LayerError("a loss requires bottoms of at least one axis")
    first, second = inputs[0][0], inputs[1][0]
    if first is not None and second is not None and first != second:
        raise LayerError(f"predictions and targets must have the same extent along axis 0, not {first} and {second}")


def check_labels(scores: Shape, labels: Shape, axis: int) -> None:
    """Check Caffe's rule for class labels: there is one for each position along the other axes of the scores.

    Args:
        scores: shape of the scores.
        labels: shape of the labels.
        axis: the axis of the classes, counted from the front.

    Raises:
        LayerError: there are more or fewer labels.
    """
    wanted, have = count(scores[:axis] + scores[axis + 1 :]), count(labels)
    if wanted is not None and have is not None and wanted != have:
        raise LayerError(
            f"there must be one label for each prediction: {wanted} ({format_shape(scores)} without axis {axis}), "
            f"not {have} ({format_shape(labels)})"
        )


def legacy_extent(shape: Shape, index: int) -> int | None:
    """Return Caffe's old num (0), channels (1), height (2) or width (3) of a shape: 1 for a missing axis.

    Raises:
        LayerError: there are more than 4 axes.
    """
    if len(shape) > 4:
        raise LayerError(f"each bottom must have at most 4 axes, not {format_shape(shape)}")
    return shape[index] if index < len(shape) else 1


def layout_in_order(value: Value) -> Layout:
    """Return the present layout of `value` if its tensor, flattened, is in Caffe's order; else Caffe's own layout."""
    layout = value.layout
    long = [a for a in layout.axes if value.shape[a] != 1]
    if layout.blocks or long != sorted(long) or layout.axes[:1] != (0,):
        return Layout.plain(value.rank)
    return layout


def layout_by_class(value: Value, axis: int) -> Layout:
    """Return the present layout of `value` if all axes but `axis` are in Caffe's order; else Caffe's own layout."""
    layout = value.layout
    others = [a for a in layout.axes if a != axis]
    return Layout.plain(value.rank) if layout.blocks or others != sorted(others) else layout


def layouts_of_pair(first: Value, second: Value) -> tuple[Layout, Layout]:
    """Return layouts in which two tensors, flattened, hold corresponding values at the same index."""
    if first.shape == second.shape:
        layout = agreed_layout((first, second))
        layout = layout if layout.axes[:1] == (0,) else Layout.plain(first.rank)
        return layout, layout
    return layout_in_order(first), layout_in_order(second)
