"""BatchReindex: items of a batch, selected by index."""

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
    """``y[i] = x[index[i]]`` along axis 0. Items may be left out, repeated or reordered.

    The indices are numbers whose fractions are dropped. Each must be 0 or more and less than N.

    Parameters: none.

    Bottoms: two, x (N, ...) and index (K). Tops: one, (K, ...). Trained blobs: none.

    Deviations: with an index out of range, Caffe ends the process. TensorFlow raises an error on a CPU.

    Source: ``src/caffe/layers/batch_reindex_layer.cpp``.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the first bottom with one item for each index."""
        shape, index = inputs
        if len(index) != 1:
            raise LayerError(f"the second bottom (the indices) must have one axis, not {format_shape(index)}")
        if not shape:
            raise LayerError("the first bottom must have at least one axis, that of the items")
        return ((index[0], *shape[1:]),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Fix the batch size: items move along axis 0."""
        del batched, inputs, outputs
        return Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout."""
        return Arrangement(inputs=tuple(v.layout for v in inputs), outputs=(inputs[0].layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras has no layer that gathers along the batch axis."""
        axis = inputs[0].layout.tensor_axis(0)
        return runtime("BatchReindex", axis=axis or OMIT)(*inputs)
