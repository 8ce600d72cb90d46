"""Softmax: scores along an axis to probabilities."""

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
    """``y = exp(x) / sum of exp(x) along axis``.

    | parameter | default | meaning |
    |---|---|---|
    | axis | 1 | the axis of the classes; may be negative |
    """

    axis: int = 1

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The axis."""
        return cls(axis=proto.message.softmax_param.axis)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of the bottom."""
        self._axis(inputs[0])
        return (inputs[0],)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Unless the classes are along axis 0."""
        return Elementwise.trace_batch(self, batched, inputs, outputs) if self._axis(inputs[0]) != 0 else Batch.FIXED

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' Softmax, which takes one class alone for a mistake."""
        del ctx
        x = inputs[0]
        axis = self._axis(x.shape)
        if x.shape[axis] == 1:
            return runtime("OneClassSoftmax")(x)
        at = x.layout.tensor_axis(axis)
        along = unless(-1 if at == x.rank - 1 else at, -1)
        if x.rank > 5:  # oneDNN, which TensorFlow calls, takes no more axes
            return runtime("ManyAxesSoftmax", axis=along)(x)
        return keras("Softmax", axis=along)(x)

    def _axis(self, shape: Shape) -> int:
        if not shape:
            raise LayerError("softmax_param.axis: a blob without axes has none to share the probability along")
        try:
            return canonical_axis(self.axis, len(shape))
        except ValueError as e:
            raise LayerError(f"softmax_param.axis: {e}") from None
