"""Activations that Keras has, too: HardSwish, ReLU, ReLU6, Sigmoid, TanH."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.ir.expr import Expr, keras, runtime, short, unless
from caffe2tf.ir.layer import Context, Elementwise, Layer
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["HardSwish", "ReLU", "ReLU6", "Sigmoid", "TanH", "activation_name"]


@register("HardSwish")
@dataclass(frozen=True, slots=True, kw_only=True)
class HardSwish(Elementwise):
    """``y = x * minimum(maximum(x + 3, 0), 6) / 6``, as in MobileNet v3.

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: forks for mobile networks; BVLC has no such layer.
    """

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' hard_silu."""
        del ctx
        return keras("Activation", "hard_silu")(inputs[0])


@register("ReLU")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReLU(Elementwise):
    """``y = maximum(x, 0) + negative_slope * minimum(x, 0)``; with `relu6`, at most 6.

    | parameter (``relu_param``) | default | meaning |
    |---|---|---|
    | negative_slope | 0 | slope for negative values |
    | relu6 | false | limit the output to 6; a field of Synopsys' fork |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/relu_layer.cpp``.
    """

    negative_slope: float = 0.0
    relu6: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``relu_param``."""
        p = proto.message.relu_param
        return cls(negative_slope=p.negative_slope, relu6=p.relu6)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit ReLU or LeakyReLU; a runtime layer for a negative slope, which Keras refuses."""
        del ctx
        if self.relu6:
            return _up_to_6(inputs[0], self.negative_slope)
        if self.negative_slope < 0:
            return runtime("SlopedReLU", short(self.negative_slope))(inputs[0])
        if self.negative_slope:
            return keras("LeakyReLU", negative_slope=short(self.negative_slope))(inputs[0])
        return keras("ReLU")(inputs[0])


@register("ReLU6")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReLU6(Elementwise):
    """``y = minimum(maximum(x, 0) + negative_slope * minimum(x, 0), 6)``.

    | parameter (``relu6_param``) | default | meaning |
    |---|---|---|
    | negative_slope | 0 | slope for negative values |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: forks for mobile networks; BVLC has no such layer.
    """

    negative_slope: float = 0.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``relu6_param``."""
        return cls(negative_slope=proto.message.relu6_param.negative_slope)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' ReLU with a maximum of 6."""
        del ctx
        return _up_to_6(inputs[0], self.negative_slope)


@register("Sigmoid")
@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid(Elementwise):
    """``y = 1 / (1 + exp(-x))``.

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/sigmoid_layer.cpp``.
    """

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' sigmoid."""
        del ctx
        return keras("Activation", "sigmoid")(inputs[0])


@register("TanH")
@dataclass(frozen=True, slots=True, kw_only=True)
class TanH(Elementwise):
    """``y = tanh(x)``.

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/tanh_layer.cpp``.
    """

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' tanh."""
        del ctx
        return keras("Activation", "tanh")(inputs[0])


def activation_name(layer: Layer) -> str | None:
    """Return Keras' name of an activation that the preceding Keras layer can apply, or None."""
    match layer:
        case ReLU(negative_slope=0, relu6=False):
            return "relu"
        case ReLU6(negative_slope=0) | ReLU(negative_slope=0, relu6=True):
            return "relu6"
        case HardSwish():
            return "hard_silu"
        case Sigmoid():
            return "sigmoid"
        case TanH():
            return "tanh"
    return None


def _up_to_6(x: Value, slope: float) -> Expr:
    """Return a ReLU with a maximum of 6. Keras refuses a negative slope."""
    if slope < 0:  # its output is never negative, so the ReLU after it only limits it
        return keras("ReLU", max_value=6.0)(runtime("SlopedReLU", short(slope), role="slope")(x))
    return keras("ReLU", max_value=6.0, negative_slope=unless(short(slope), 0.0))(x)
