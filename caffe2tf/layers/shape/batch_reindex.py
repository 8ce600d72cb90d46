"""BatchReindex: the items of a batch, picked by index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register

__all__ = ["BatchReindex"]


@register("BatchReindex")
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReindex(Layer):
    """``y[i] = x[index[i]]`` along axis 0: items may be left out, repeated and moved.

    The second bottom holds the indices, as numbers whose fraction is cut off; each must be 0 or more, and less than the
    number of items. Where one is not, Caffe ends the process; here TensorFlow raises an error on a CPU.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """As many items as there are indices."""
        shape, index = inputs
        if len(index) != 1:
            raise LayerError(f"the second bottom must have one axis, the indices: it is {format_shape(index)}")
        if not shape:
            raise LayerError("the first bottom must have at least one axis, the items")
        return ((index[0], *shape[1:]),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Never."""
        del batched, inputs, outputs
        return Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any order."""
        return Arrangement(inputs=tuple(v.layout for v in inputs), outputs=(inputs[0].layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A runtime layer."""
        axis = inputs[0].layout.tensor_axis(0)
        return runtime("BatchReindex", axis=axis or OMIT)(*inputs)
