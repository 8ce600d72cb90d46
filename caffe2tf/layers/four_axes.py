"""Layers whose output has four axes (N, C, H, W) even where their input has fewer: those missing have extent 1."""

from __future__ import annotations

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, keras
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value

__all__ = ["four_axes", "to_four_axes", "widened"]


def four_axes(shape: Shape, what: str) -> Shape:
    """``shape`` with axes of extent 1 at its end; raises LayerError where it has fewer than 2 axes, or more than 4."""
    if not 2 <= len(shape) <= 4:
        raise LayerError(f"{what} takes an input of 2 to 4 axes (N, C, H, W), not {format_shape(shape)}")
    return (*shape, *(1,) * (4 - len(shape)))


def widened(x: Value) -> tuple[Layout, Layout]:
    """The layout in which ``x`` is read, and the one of an output with four axes: any, or channels last for fewer."""
    if x.rank == 4:
        return x.layout, x.layout
    return Layout.channels_last(x.rank), Layout.channels_last(4)


def to_four_axes(tensor: Expr, x: Value, output: Value) -> Expr:
    """``tensor``, which has the axes of ``x``, reshaped to the four of ``output``."""
    if x.rank == 4:
        return tensor
    return keras("Reshape", tuple(-1 if n is None else n for n in output.tensor_shape[1:]))(tensor)
