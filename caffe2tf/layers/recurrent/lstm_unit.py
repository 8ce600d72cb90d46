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
    """The nonlinear part of one step of an LSTM.

    With i, f, o and g as the four quarters of x along axis 2:

    - ``c = cont sigmoid(f) c_prev + sigmoid(i) tanh(g)``
    - ``h = sigmoid(o) tanh(c)``

    Parameters: none.

    Bottoms: c_prev (1, S, n), x (1, S, 4 * n) and cont (1, S), for S streams. Tops: c and h, each (1, S, n).

    Trained blobs: none.

    Source: ``src/caffe/layers/lstm_unit_layer.cpp``.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (3, 3)
    tops: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of c_prev for both tops."""
        for i, (name, shape, rank) in enumerate(zip(("c_prev", "x", "cont"), inputs, (3, 3, 2), strict=True)):
            if len(shape) != rank:
                raise LayerError(f"bottom {i} ({name}) must have {rank} axes; its shape is {format_shape(shape)}")
            if shape[0] not in (1, None):
                raise LayerError(
                    f"bottom {i} ({name}) must hold 1 step along axis 0; its shape is {format_shape(shape)}"
                )
        streams = {shape[1] for shape in inputs} - {None}
        if len(streams) > 1:
            given = ", ".join(format_shape(s) for s in inputs)
            raise LayerError(f"all bottoms must have the same number of streams along axis 1; their shapes are {given}")
        cell, gates = inputs[0][2], inputs[1][2]
        if cell is not None and gates is not None and gates != 4 * cell:
            raise LayerError(f"x must have 4 values for each value of c_prev along axis 2: {4 * cell}, not {gates}")
        return (inputs[0],) * 2

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Fix the batch size: axis 0 holds the one step."""
        del batched, inputs, outputs
        return Batch.FIXED

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras has no layer for the nonlinear part alone."""
        del ctx
        return runtime("LSTMUnit")(*inputs)
