"""Activations that Keras knows by name: ReLU, Sigmoid, TanH."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.ir.expr import Expr, keras, runtime, short
from caffe2tf.ir.graph import Value
from caffe2tf.layers.base import Context, Elementwise, Layer
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["ReLU", "Sigmoid", "TanH", "activation_name"]


@register("ReLU")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReLU(Elementwise):
    """``y = max(x, 0) + negative_slope * min(x, 0)``.

    | parameter | default | meaning |
    |---|---|---|
    | negative_slope | 0 | slope for negative values |
    """

    negative_slope: float = 0.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The slope."""
        return cls(negative_slope=proto.message.relu_param.negative_slope)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """ReLU, or LeakyReLU where negative values have a slope; Keras has none for a slope below 0."""
        del ctx
        if self.negative_slope < 0:
            return runtime("SlopedReLU", short(self.negative_slope))(inputs[0])
        if self.negative_slope:
            return keras("LeakyReLU", negative_slope=short(self.negative_slope))(inputs[0])
        return keras("ReLU")(inputs[0])


@register("Sigmoid")
@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid(Elementwise):
    """``y = 1 / (1 + exp(-x))``."""

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' sigmoid."""
        del ctx
        return keras("Activation", "sigmoid")(inputs[0])


@register("TanH")
@dataclass(frozen=True, slots=True, kw_only=True)
class TanH(Elementwise):
    """``y = tanh(x)``."""

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' tanh."""
        del ctx
        return keras("Activation", "tanh")(inputs[0])


def activation_name(layer: Layer) -> str | None:
    """Keras' name of an activation that a layer before it can apply itself, or None."""
    match layer:
        case ReLU(negative_slope=0):
            return "relu"
        case Sigmoid():
            return "sigmoid"
        case TanH():
            return "tanh"
    return None
