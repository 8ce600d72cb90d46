"""Neuron layers without trained blobs: AbsVal, Atan, BNLL, Clip, ELU, Exp, HardSigmoid, Log, ..."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, keras, runtime, short, unless
from caffe2tf.ir.layer import Context, Elementwise
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = [
    "BNLL",
    "ELU",
    "AbsVal",
    "Atan",
    "Clip",
    "Exp",
    "HardSigmoid",
    "Log",
    "NegReLU",
    "Power",
    "Swish",
    "Threshold",
]


@register("AbsVal")
@dataclass(frozen=True, slots=True, kw_only=True)
class AbsVal(Elementwise):
    """``y = abs(x)``.

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    The layer must not work in place, as in Caffe.

    Source: ``src/caffe/layers/absval_layer.cpp``.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Check that the layer does not work in place."""
        if proto.bottoms[0] == proto.tops[0]:
            raise LayerError(f"AbsVal must not work in place: give its top another name than {proto.tops[0]!r}")
        return cls()

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no such layer."""
        del ctx
        return runtime("AbsVal")(inputs[0])


@register("Atan")
@dataclass(frozen=True, slots=True, kw_only=True)
class Atan(Elementwise):
    """``y = atan(x)``.

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: Synopsys' fork, ``foss-for-synopsys-dwc-arc-processors/synopsys-caffe``.
    """

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no such layer."""
        del ctx
        return runtime("Atan")(inputs[0])


@register("BNLL")
@dataclass(frozen=True, slots=True, kw_only=True)
class BNLL(Elementwise):
    """``y = log(1 + exp(x))``, computed without overflow.

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/bnll_layer.cpp``.
    """

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' softplus."""
        del ctx
        return keras("Activation", "softplus")(inputs[0])


@register("Clip")
@dataclass(frozen=True, slots=True, kw_only=True)
class Clip(Elementwise):
    """``y = maximum(min, minimum(x, max))``.

    | parameter (``clip_param``) | default | meaning |
    |---|---|---|
    | min | required | lower limit; it wins if it is greater than `max` |
    | max | required | upper limit |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/clip_layer.cpp``.
    """

    minimum: float
    maximum: float

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read both limits."""
        p = proto.message.clip_param
        missing = [name for name in ("min", "max") if not p.HasField(name)]
        if missing:
            raise LayerError(f"clip_param.min and clip_param.max are required; {' and '.join(missing)} missing")
        return cls(minimum=p.min, maximum=p.max)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' ReLU with a maximum if the lower limit is 0, else a runtime layer."""
        del ctx
        if self.minimum == 0 and 0 < self.maximum < math.inf:
            return keras("ReLU", max_value=short(self.maximum))(inputs[0])
        return runtime("Clip", short(self.minimum), short(self.maximum))(inputs[0])


@register("ELU")
@dataclass(frozen=True, slots=True, kw_only=True)
class ELU(Elementwise):
    """``y = x`` if ``x > 0``, else ``alpha * (exp(x) - 1)``.

    | parameter (``elu_param``) | default | meaning |
    |---|---|---|
    | alpha | 1 | ``-alpha`` is the limit for large negative values |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/elu_layer.cpp``.
    """

    alpha: float = 1.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``elu_param``."""
        return cls(alpha=proto.message.elu_param.alpha)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' ELU."""
        del ctx
        return keras("ELU", alpha=unless(short(self.alpha), 1.0))(inputs[0])


@register("Exp")
@dataclass(frozen=True, slots=True, kw_only=True)
class Exp(Elementwise):
    """``y = base ** (shift + scale * x)``.

    | parameter (``exp_param``) | default | meaning |
    |---|---|---|
    | base | -1 | greater than 0; -1 stands for e |
    | scale | 1 | factor of x |
    | shift | 0 | summand |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/exp_layer.cpp``.
    """

    base: float = -1.0
    scale: float = 1.0
    shift: float = 0.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``exp_param``."""
        p = proto.message.exp_param
        _check_base("exp_param", p.base)
        return cls(base=p.base, scale=p.scale, shift=p.shift)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' exponential if all parameters have their defaults, else a runtime layer."""
        del ctx
        if (self.base, self.scale, self.shift) == (-1, 1, 0):
            return keras("Activation", "exponential")(inputs[0])
        return runtime("Exp", **_base_scale_shift(self))(inputs[0])


@register("HardSigmoid")
@dataclass(frozen=True, slots=True, kw_only=True)
class HardSigmoid(Elementwise):
    """``y = minimum(maximum(alpha * x + beta, 0), 1)``.

    | parameter (``hard_sigmoid_param``) | default | meaning |
    |---|---|---|
    | alpha | 0.2 | slope between 0 and 1 |
    | beta | 0.5 | value for x = 0 |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: forks for mobile networks; BVLC has no such layer.
    """

    alpha: float = 0.2
    beta: float = 0.5

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``hard_sigmoid_param``."""
        p = proto.message.hard_sigmoid_param
        return cls(alpha=p.alpha, beta=p.beta)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Rescaling and a ReLU with maximum 1, because Keras' hard_sigmoid has a fixed slope of 1 / 6."""
        del ctx
        line = keras("Rescaling", short(self.alpha), offset=unless(short(self.beta), 0.0), role="scale")
        return keras("ReLU", max_value=1.0)(line(inputs[0]))


@register("Log")
@dataclass(frozen=True, slots=True, kw_only=True)
class Log(Elementwise):
    """``y = log(shift + scale * x) / log(base)``.

    | parameter (``log_param``) | default | meaning |
    |---|---|---|
    | base | -1 | greater than 0 and not 1; -1 stands for e |
    | scale | 1 | factor of x |
    | shift | 0 | summand |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/log_layer.cpp``.
    """

    base: float = -1.0
    scale: float = 1.0
    shift: float = 0.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``log_param``."""
        p = proto.message.log_param
        _check_base("log_param", p.base)
        if p.base == 1:
            raise LayerError("log_param.base must not be 1: the logarithm to base 1 is not defined")
        return cls(base=p.base, scale=p.scale, shift=p.shift)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no such layer."""
        del ctx
        return runtime("Log", **_base_scale_shift(self))(inputs[0])


@register("NegReLU")
@dataclass(frozen=True, slots=True, kw_only=True)
class NegReLU(Elementwise):
    """``y = minimum(x, 0) + negative_slope * maximum(x, 0)``.

    | parameter (``relu_param``) | default | meaning |
    |---|---|---|
    | negative_slope | 0 | slope for positive values, in spite of its name |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: a fork's ``NegReLU`` layer; BVLC has no such layer.
    """

    negative_slope: float = 0.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``relu_param``."""
        return cls(negative_slope=proto.message.relu_param.negative_slope)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no such layer."""
        del ctx
        return runtime("NegReLU", positive_slope=unless(short(self.negative_slope), 0.0))(inputs[0])


@register("Power")
@dataclass(frozen=True, slots=True, kw_only=True)
class Power(Elementwise):
    """``y = (shift + scale * x) ** power``; NaN for a negative base and a power that is not whole.

    | parameter (``power_param``) | default | meaning |
    |---|---|---|
    | power | 1 | exponent; with 0, y is 1 |
    | scale | 1 | factor of x |
    | shift | 0 | summand |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/power_layer.cpp``.
    """

    power: float = 1.0
    scale: float = 1.0
    shift: float = 0.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``power_param``."""
        p = proto.message.power_param
        return cls(power=p.power, scale=p.scale, shift=p.shift)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Rescaling if the power is 1; nothing if all parameters have their defaults."""
        del ctx
        scale, shift = unless(short(self.scale), 1.0), unless(short(self.shift), 0.0)
        constant = np.float32(self.power) * np.float32(self.scale) == 0
        if self.power != 1 or constant:
            return runtime("Power", short(self.power), scale=scale, shift=shift)(inputs[0])
        if scale is OMIT and shift is OMIT:
            return inputs[0]
        return keras("Rescaling", short(self.scale), offset=shift)(inputs[0])


@register("Swish")
@dataclass(frozen=True, slots=True, kw_only=True)
class Swish(Elementwise):
    """``y = x * sigmoid(beta * x)``.

    | parameter (``swish_param``) | default | meaning |
    |---|---|---|
    | beta | 1 | factor of x in the sigmoid |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/swish_layer.cpp``.
    """

    beta: float = 1.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``swish_param``."""
        return cls(beta=proto.message.swish_param.beta)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' silu if `beta` is 1, else a runtime layer."""
        del ctx
        if self.beta == 1:
            return keras("Activation", "silu")(inputs[0])
        return runtime("Swish", short(self.beta))(inputs[0])


@register("Threshold")
@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold(Elementwise):
    """``y = 1`` if ``x > threshold``, else 0.

    | parameter (``threshold_param``) | default | meaning |
    |---|---|---|
    | threshold | 0 | x must be greater than this |

    Bottoms: one, of any shape. Tops: one, of the same shape. Trained blobs: none.

    Source: ``src/caffe/layers/threshold_layer.cpp``.
    """

    threshold: float = 0.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``threshold_param``."""
        return cls(threshold=proto.message.threshold_param.threshold)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no such layer."""
        del ctx
        return runtime("Threshold", short(self.threshold))(inputs[0])


def _check_base(field: str, base: float) -> None:
    if base != -1 and not 0 < base < math.inf:
        raise LayerError(f"{field}.base must be greater than 0 and finite, or -1 for e, not {short(base)}")


def _base_scale_shift(layer: Exp | Log) -> dict[str, Any]:
    return {
        "base": OMIT if layer.base == -1 else short(layer.base),
        "scale": unless(short(layer.scale), 1.0),
        "shift": unless(short(layer.shift), 0.0),
    }
