"""Functions of one value without trained blobs: AbsVal, Atan, BNLL, Clip, ELU, Exp, HardSigmoid, Log, ..."""

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
    """``y = abs(x)``. Caffe does not compute it in place."""

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Nothing but the rule on its top."""
        if proto.bottoms[0] == proto.tops[0]:
            raise LayerError(f"AbsVal must not be computed in place: give its top another name than {proto.tops[0]!r}")
        return cls()

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        return runtime("AbsVal")(inputs[0])


@register("Atan")
@dataclass(frozen=True, slots=True, kw_only=True)
class Atan(Elementwise):
    """``y = atan(x)``; of Synopsys' Caffe."""

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        return runtime("Atan")(inputs[0])


@register("BNLL")
@dataclass(frozen=True, slots=True, kw_only=True)
class BNLL(Elementwise):
    """``y = log(1 + exp(x))``, computed without overflow."""

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' softplus."""
        del ctx
        return keras("Activation", "softplus")(inputs[0])


@register("Clip")
@dataclass(frozen=True, slots=True, kw_only=True)
class Clip(Elementwise):
    """``y = max(min, min(x, max))``, where the inner `min` is the lesser of two.

    | parameter | default | meaning |
    |---|---|---|
    | min | required | lower limit; holds where it is above `max` |
    | max | required | upper limit |
    """

    minimum: float
    maximum: float

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The limits."""
        p = proto.message.clip_param
        missing = [name for name in ("min", "max") if not p.HasField(name)]
        if missing:
            raise LayerError(f"clip_param must give both min and max; {' and '.join(missing)} missing")
        return cls(minimum=p.min, maximum=p.max)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' ReLU with a ceiling, where the lower limit is 0."""
        del ctx
        if self.minimum == 0 and 0 < self.maximum < math.inf:
            return keras("ReLU", max_value=short(self.maximum))(inputs[0])
        return runtime("Clip", short(self.minimum), short(self.maximum))(inputs[0])


@register("ELU")
@dataclass(frozen=True, slots=True, kw_only=True)
class ELU(Elementwise):
    """``y = x`` where x is positive, else ``alpha * (exp(x) - 1)``.

    | parameter | default | meaning |
    |---|---|---|
    | alpha | 1 | limit for negative values, with its sign changed |
    """

    alpha: float = 1.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Alpha."""
        return cls(alpha=proto.message.elu_param.alpha)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' ELU."""
        del ctx
        return keras("ELU", alpha=unless(short(self.alpha), 1.0))(inputs[0])


@register("Exp")
@dataclass(frozen=True, slots=True, kw_only=True)
class Exp(Elementwise):
    """``y = base ** (shift + scale * x)``.

    | parameter | default | meaning |
    |---|---|---|
    | base | -1 | above 0; -1 for e |
    | scale | 1 | |
    | shift | 0 | |
    """

    base: float = -1.0
    scale: float = 1.0
    shift: float = 0.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.exp_param
        _check_base("exp_param", p.base)
        return cls(base=p.base, scale=p.scale, shift=p.shift)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' exponential function, where there is nothing more to it."""
        del ctx
        if (self.base, self.scale, self.shift) == (-1, 1, 0):
            return keras("Activation", "exponential")(inputs[0])
        return runtime("Exp", **_base_scale_shift(self))(inputs[0])


@register("HardSigmoid")
@dataclass(frozen=True, slots=True, kw_only=True)
class HardSigmoid(Elementwise):
    """``y = min(max(alpha * x + beta, 0), 1)``.

    | parameter | default | meaning |
    |---|---|---|
    | alpha | 0.2 | slope between 0 and 1, in ``hard_sigmoid_param`` |
    | beta | 0.5 | value at 0 |
    """

    alpha: float = 0.2
    beta: float = 0.5

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Slope and offset."""
        p = proto.message.hard_sigmoid_param
        return cls(alpha=p.alpha, beta=p.beta)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A line, cut off at 0 and 1; the slope of Keras' hard_sigmoid is 1 / 6."""
        del ctx
        line = keras("Rescaling", short(self.alpha), offset=unless(short(self.beta), 0.0), role="scale")
        return keras("ReLU", max_value=1.0)(line(inputs[0]))


@register("Log")
@dataclass(frozen=True, slots=True, kw_only=True)
class Log(Elementwise):
    """``y = log(shift + scale * x)`` to the base `base`.

    | parameter | default | meaning |
    |---|---|---|
    | base | -1 | above 0 and not 1; -1 for e |
    | scale | 1 | |
    | shift | 0 | |
    """

    base: float = -1.0
    scale: float = 1.0
    shift: float = 0.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.log_param
        _check_base("log_param", p.base)
        if p.base == 1:
            raise LayerError("log_param.base must not be 1: no power of it is any other number")
        return cls(base=p.base, scale=p.scale, shift=p.shift)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        return runtime("Log", **_base_scale_shift(self))(inputs[0])


@register("NegReLU")
@dataclass(frozen=True, slots=True, kw_only=True)
class NegReLU(Elementwise):
    """``y = min(x, 0) + negative_slope * max(x, 0)``.

    | parameter | default | meaning |
    |---|---|---|
    | negative_slope | 0 | slope for positive values, in ``relu_param`` |
    """

    negative_slope: float = 0.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The slope."""
        return cls(negative_slope=proto.message.relu_param.negative_slope)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        return runtime("NegReLU", positive_slope=unless(short(self.negative_slope), 0.0))(inputs[0])


@register("Power")
@dataclass(frozen=True, slots=True, kw_only=True)
class Power(Elementwise):
    """``y = (shift + scale * x) ** power``; NaN where the base is negative and the power not an integer.

    | parameter | default | meaning |
    |---|---|---|
    | power | 1 | 0 gives 1 everywhere |
    | scale | 1 | |
    | shift | 0 | |
    """

    power: float = 1.0
    scale: float = 1.0
    shift: float = 0.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.power_param
        return cls(power=p.power, scale=p.scale, shift=p.shift)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Rescaling where the power is 1; the input itself where nothing is left to do."""
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

    | parameter | default | meaning |
    |---|---|---|
    | beta | 1 | |
    """

    beta: float = 1.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Beta."""
        return cls(beta=proto.message.swish_param.beta)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' silu, where beta is 1."""
        del ctx
        if self.beta == 1:
            return keras("Activation", "silu")(inputs[0])
        return runtime("Swish", short(self.beta))(inputs[0])


@register("Threshold")
@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold(Elementwise):
    """``y = 1`` where ``x > threshold``, else 0.

    | parameter | default | meaning |
    |---|---|---|
    | threshold | 0 | |
    """

    threshold: float = 0.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The threshold."""
        return cls(threshold=proto.message.threshold_param.threshold)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own."""
        del ctx
        return runtime("Threshold", short(self.threshold))(inputs[0])


def _check_base(field: str, base: float) -> None:
    if base != -1 and not 0 < base < math.inf:
        raise LayerError(f"{field}.base must be above 0 and finite, or -1 for e, not {short(base)}")


def _base_scale_shift(layer: Exp | Log) -> dict[str, Any]:
    return {
        "base": OMIT if layer.base == -1 else short(layer.base),
        "scale": unless(short(layer.scale), 1.0),
        "shift": unless(short(layer.shift), 0.0),
    }
