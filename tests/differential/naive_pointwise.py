"""Rules of layers that compute value by value or scale along axes, of InnerProduct and of Embed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tests.differential.rules import Array, Message, axis_of, check, count

__all__ = ["LAYERS"]

Rule = Callable[[Message, Sequence[Array], Sequence[Array]], list[Array]]


def _value(f: Callable[[Message, Array], Array]) -> Rule:
    return lambda layer, xs, _: [np.asarray(f(layer, xs[0]))]


def _sigmoid(x: Array) -> Array:
    return 0.5 * np.tanh(0.5 * x) + 0.5


def _stored(x: Array) -> Array:
    """Round to float32, as Caffe does between two steps."""
    return x.astype(np.float32).astype(np.float64)


def _elu(layer: Message, x: Array) -> Array:
    return np.maximum(x, 0) + float(layer.elu_param.alpha) * np.expm1(np.minimum(x, 0))


def _relu(layer: Message, x: Array) -> Array:
    y = np.maximum(x, 0) + float(layer.relu_param.negative_slope) * np.minimum(x, 0)
    return np.minimum(y, 6) if layer.relu_param.relu6 else y


def _base(base: float) -> float:
    check(base == -1 or base > 0, "base > 0")
    return 1.0 if base == -1 else math.log(base)


def _exp(layer: Message, x: Array) -> Array:
    p = layer.exp_param
    base = _base(p.base)
    return np.exp(float(base * p.scale) * x) * math.exp(base * p.shift)


def _log(layer: Message, x: Array) -> Array:
    p = layer.log_param
    base = _base(p.base)
    check(base != 0, "1 / log(base) is infinite")
    return np.log(_stored(x * float(p.scale) + float(p.shift))) / base


def _power(layer: Message, x: Array) -> Array:
    p = layer.power_param
    if p.power * p.scale == 0:
        return np.full_like(x, 1.0 if p.power == 0 else float(np.float64(p.shift) ** p.power))
    inner = _stored(x * float(p.scale) + float(p.shift))
    return inner if p.power == 1 else np.power(inner, float(p.power))


def _prelu(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    x, slope = xs[0], ws[0].reshape(-1)
    check(2 <= x.ndim <= 5, "2 to 4 axes, and 5 in forks")
    check(slope.size == (1 if layer.prelu_param.channel_shared else x.shape[1]), "slopes")
    return [np.maximum(x, 0) + slope.reshape(-1, *[1] * (x.ndim - 2)) * np.minimum(x, 0)]


def _batch_norm(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.batch_norm_param, xs[0]
    check(x.ndim >= 2, "2 axes")
    flat = x.reshape(*x.shape[:2], -1)
    if len(ws) == 5 and ws[4].size == 1 < x.shape[1]:  # NVIDIA's Caffe 0.15 has scale and bias first
        ws = [*ws[2:], *ws[:2]]
    if len(ws) == 5 and (p.scale_bias or p.HasField("scale_filler")):  # NVIDIA's: the third blob means nothing
        mean, variance = ws[0], ws[1]
    elif p.use_global_stats or not p.HasField("use_global_stats"):
        factor = 0.0 if ws[2].item() == 0 else 1 / ws[2].item()
        mean, variance = ws[0] * factor, ws[1] * factor
    else:
        mean, variance = flat.mean(axis=(0, 2)), flat.var(axis=(0, 2))
        check(bool((variance > 1e-7 * mean**2).all()), "a variance this small is mostly rounding error")
    deviation = np.sqrt(variance + p.eps) if p.add_eps_before_sqrt else np.sqrt(variance) + p.eps
    y = (flat - mean[:, None]) / deviation[:, None]
    if len(ws) == 5:  # NVIDIA's and Intel's
        y = y * ws[3].reshape(-1, 1) + ws[4].reshape(-1, 1)
    return [(np.maximum(y, 0) if p.relu else y).reshape(x.shape)]


def _along(x: Array, w: Array, axis: int) -> Array:
    first = axis_of(x, axis) if w.ndim else 0
    check(x.shape[first : first + w.ndim] == w.shape, "shape")
    return w.reshape(*w.shape, *[1] * (x.ndim - first - w.ndim))


def _trained(p: Message, x: Array, w: Array) -> Array:
    check(p.num_axes >= -1, "num_axes")
    first = axis_of(x, p.axis)
    check(p.num_axes == -1 or first + p.num_axes <= x.ndim, "num_axes")
    check(w.shape == (x.shape[first:] if p.num_axes == -1 else x.shape[first : first + p.num_axes]), "shape")
    return w


def _scale(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.scale_param, xs[0]
    w = xs[1] if len(xs) > 1 else _trained(p, x, ws[0])
    y = x * _along(x, w, p.axis)
    return [y + _along(x, ws[-1], p.axis) if p.bias_term else y]


def _bias(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.bias_param, xs[0]
    return [x + _along(x, xs[1] if len(xs) > 1 else _trained(p, x, ws[0]), p.axis)]


def _eltwise(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p = layer.eltwise_param
    operation = p.EltwiseOp.Name(p.operation)
    check(len(xs) >= (1 if operation == "SUM" else 2) and len(p.coeff) in (0, len(xs)), "coeff")
    check(operation != "PROD" or not p.coeff, "coeff of a product")
    check(all(x.shape == xs[0].shape for x in xs), "shapes")
    if operation == "SUM":
        return [sum((c * x for c, x in zip(p.coeff or [1.0] * len(xs), xs, strict=True)), np.zeros_like(xs[0]))]
    return [np.multiply.reduce(xs) if operation == "PROD" else np.maximum.reduce(xs)]


def _inner_product(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.inner_product_param, xs[0]
    axis = axis_of(x, p.axis)
    flat = x.reshape(count(x.shape[:axis]), count(x.shape[axis:]))
    w = ws[0].reshape(-1, p.num_output) if p.transpose else ws[0].reshape(p.num_output, -1).T
    y = np.einsum("mk,kn->mn", flat, w) + (ws[1] if p.bias_term else 0.0)
    return [y.reshape(*x.shape[:axis], p.num_output)]


def _embed(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p = layer.embed_param
    check(p.num_output > 0 and p.input_dim > 0, "num_output and input_dim")
    return [ws[0].reshape(p.input_dim, p.num_output)[xs[0].astype(int)] + (ws[1] if p.bias_term else 0.0)]


LAYERS: dict[str, Rule] = {
    "AbsVal": _value(lambda _, x: np.abs(x)),
    "BNLL": _value(lambda _, x: np.logaddexp(0, x)),
    "Clip": _value(lambda q, x: np.maximum(q.clip_param.min, np.minimum(x, q.clip_param.max))),
    "Dropout": _value(lambda _, x: x),
    "ELU": _value(_elu),
    "Exp": _value(_exp),
    "Log": _value(_log),
    "Power": _value(_power),
    "ReLU": _value(_relu),
    "Sigmoid": _value(lambda _, x: _sigmoid(x)),
    "Swish": _value(lambda q, x: x * _sigmoid(q.swish_param.beta * x)),
    "TanH": _value(lambda _, x: np.tanh(x)),
    "Threshold": _value(lambda q, x: (x > q.threshold_param.threshold).astype(np.float64)),
    "PReLU": _prelu,
    "BatchNorm": _batch_norm,
    "Scale": _scale,
    "Bias": _bias,
    "Eltwise": _eltwise,
    "InnerProduct": _inner_product,
    "Embed": _embed,
}
