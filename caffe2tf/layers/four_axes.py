"""Layers whose output always has four axes (N, C, H, W): missing ones are added with extent 1."""

from __future__ import annotations

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, keras
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value

__all__ = ["four_axes", "to_four_axes", "widened"]


def four_axes(shape: Shape, what: str) -> Shape:
    """Append axes of extent 1 up to four axes.

    Args:
        shape: the shape of a bottom.
        what: the layer, for the message.

    Raises:
        LayerError: the shape has fewer than 2 or more than 4 axes.
    """
    if not 2 <= len(shape) <= 4:
        raise LayerError(f"{what} takes an input of 2 to 4 axes (N, C, H, W), not {format_shape(shape)}")
    return (*shape, *(1,) * (4 - len(shape)))


def widened(x: Value) -> tuple[Layout, Layout]:
    """Return the layouts of the input and of the output of four axes; channels last if axes are added."""
    if x.rank == 4:
        return x.layout, x.layout
    return Layout.channels_last(x.rank), Layout.channels_last(4)


def to_four_axes(tensor: Expr, x: Value, output: Value) -> Expr:
    """Reshape a tensor that has the axes of `x` to the four axes of `output`."""
    if x.rank == 4:
        return tensor
    return keras("Reshape", tuple(-1 if n is None else n for n in output.tensor_shape[1:]))(tensor)
