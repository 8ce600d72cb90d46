"""LSTMUnit: the nonlinear part of one step of an LSTM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.layer import Batch, Context, Layer
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register

__all__ = ["LSTMUnit"]


@register("LSTMUnit")
@dataclass(frozen=True, slots=True, kw_only=True)
class LSTMUnit(Layer):
    """``c = cont sigmoid(f) c_prev + sigmoid(i) tanh(g)``; ``h = sigmoid(o) tanh(c)``; x is i, f, o, g.

    Bottoms: c_prev (1, streams, n), x (1, streams, 4 n), cont (1, streams). Tops: c and h (1, streams, n).

    It has no parameters and no trained blobs.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (3, 3)
    tops: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of c_prev, twice."""
        for i, (name, shape, rank) in enumerate(zip(("c_prev", "x", "cont"), inputs, (3, 3, 2), strict=True)):
            if len(shape) != rank:
                raise LayerError(f"bottom {i} ({name}) must have {rank} axes, it is {format_shape(shape)}")
            if shape[0] not in (1, None):
                raise LayerError(f"bottom {i} ({name}) must hold 1 step along axis 0, it is {format_shape(shape)}")
        streams = {shape[1] for shape in inputs} - {None}
        if len(streams) > 1:
            given = ", ".join(format_shape(s) for s in inputs)
            raise LayerError(f"all bottoms must have as many streams along axis 1: {given}")
        cell, gates = inputs[0][2], inputs[1][2]
        if cell is not None and gates is not None and gates != 4 * cell:
            raise LayerError(f"x must have 4 values for each of c_prev along axis 2: {4 * cell}, not {gates}")
        return (inputs[0],) * 2

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Axis 0 is the one step."""
        del batched, inputs, outputs
        return Batch.FIXED

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        return runtime("LSTMUnit")(*inputs)
