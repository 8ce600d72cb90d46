"""Softmax along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, keras, runtime, unless
from caffe2tf.ir.layer import Batch, Context, Elementwise
from caffe2tf.ir.shape import Shape, canonical_axis
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Softmax"]


@register("Softmax")
@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax(Elementwise):
    """``y = exp(x) / sum(exp(x))``, where the sum runs along `axis`.

    | parameter (``softmax_param``) | default | meaning |
    |---|---|---|
    | axis | 1 | the axis of the classes; negative numbers count from the end |

    Bottoms: one, of at least one axis. Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/softmax_layer.cpp``.
    """

    axis: int = 1

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``softmax_param``."""
        return cls(axis=proto.message.softmax_param.axis)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom."""
        self._axis(inputs[0])
        return (inputs[0],)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless the classes are along axis 0."""
        return Elementwise.trace_batch(self, batched, inputs, outputs) if self._axis(inputs[0]) != 0 else Batch.FIXED

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' Softmax; a runtime layer for a single class, about which Keras warns, and for many axes."""
        del ctx
        x = inputs[0]
        axis = self._axis(x.shape)
        if x.shape[axis] == 1:
            return runtime("OneClassSoftmax")(x)
        at = x.layout.tensor_axis(axis)
        along = unless(-1 if at == x.rank - 1 else at, -1)
        if x.rank > 5:  # TensorFlow's oneDNN kernel supports 5 axes at most
            return runtime("ManyAxesSoftmax", axis=along)(x)
        return keras("Softmax", axis=along)(x)

    def _axis(self, shape: Shape) -> int:
        if not shape:
            raise LayerError("Softmax requires a bottom of at least one axis")
        try:
            return canonical_axis(self.axis, len(shape))
        except ValueError as e:
            raise LayerError(f"softmax_param.axis: {e}") from None
