"""Convolutions, pooling, and other layers of sliding windows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from tests.differential.rules import Array, Message, axis_of, check, count, legacy

__all__ = ["LAYERS"]

FLT_MAX = float(np.finfo(np.float32).max)


def _spatial(p: Message, stem: str, name: str, n: int, default: int | None) -> list[int]:
    repeated = list(getattr(p, name))
    if stem and (p.HasField(stem + "_h") or p.HasField(stem + "_w")):
        check(n == 2 and not repeated, f"{stem}_h and {stem}_w")
        return [getattr(p, stem + "_h"), getattr(p, stem + "_w")]
    check(len(repeated) in (1, n) or (default is not None and not repeated), f"{name} is given {len(repeated)} times")
    if not repeated:
        return [default or 0] * n
    return repeated * n if len(repeated) == 1 else repeated


def _window(p: Message, n: int) -> tuple[list[int], list[int], list[int], list[int]]:
    kernel = _spatial(p, "kernel", "kernel_size", n, None)
    stride = _spatial(p, "stride", "stride", n, 1)
    pad = _spatial(p, "pad", "pad", n, 0)
    dilation = _spatial(p, "", "dilation", n, 1)
    check(all(k > 0 for k in kernel), "kernel")
    check(all(s > 0 for s in stride), "stride")
    return kernel, stride, pad, dilation


def _windows_along(n: int, k: int, s: int, p: int, d: int) -> int:
    out = int((n + 2 * p - (d * (k - 1) + 1)) / s) + 1  # C++ rounds towards zero
    check(out > 0, "no window fits")
    return out


def _columns(x: Array, window: tuple[list[int], ...]) -> Array:
    """(N, C, spatial) as (N, C, kernel positions, output positions)."""
    kernel, stride, pad, dilation = window
    spatial = x.shape[2:]
    out = [_windows_along(*v) for v in zip(spatial, kernel, stride, pad, dilation, strict=True)]
    cols = np.zeros((*x.shape[:2], count(kernel), *out))
    for k, at in enumerate(itertools.product(*(range(v) for v in kernel))):
        for o in itertools.product(*(range(v) for v in out)):
            where = [v * s - p + i * d for v, s, p, i, d in zip(o, stride, pad, at, dilation, strict=True)]
            if all(0 <= w < n for w, n in zip(where, spatial, strict=True)):
                cols[(slice(None),) * 2 + (k, *o)] = x[(slice(None),) * 2 + tuple(where)]
    return cols


def _channels(p: Message, x: Array) -> tuple[int, Array, int]:
    axis = axis_of(x, p.axis)
    return axis, x.reshape(count(x.shape[:axis]), *x.shape[axis:]), x.ndim - axis - 1


def _im2col(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p = layer.convolution_param
    axis, x, n = _channels(p, xs[0])
    check(n >= 1, "spatial axes")
    cols = _columns(x, _window(p, n))
    return [cols.reshape(*xs[0].shape[:axis], -1, *cols.shape[3:])]


def _each(forward: Callable[..., Array]) -> Callable[..., list[Array]]:
    def rule(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
        p = layer.convolution_param
        check(len(layer.bottom) == len(layer.top), "one top for each bottom")
        check(all(x.shape == xs[0].shape for x in xs), "bottoms of one shape")
        check(p.num_output > 0 and p.group > 0 and p.num_output % p.group == 0, "num_output")
        tops = []
        for given in xs:
            axis, x, n = _channels(p, given)
            check(x.shape[1] % p.group == 0, "channels are a multiple of group")
            y = forward(p, x, n, ws[0])
            check(min(y.shape) > 0, "empty top")
            if p.bias_term:
                y = y + ws[1].reshape(-1, *[1] * n)
            tops.append(y.reshape(*given.shape[:axis], *y.shape[1:]))
        return tops

    return rule


def _convolve(p: Message, x: Array, n: int, weight: Array) -> Array:
    cols = _columns(x, _window(p, n))
    w = weight.reshape(p.group, p.num_output // p.group, -1, cols.shape[2])
    cols = cols.reshape(len(x), p.group, -1, *cols.shape[2:])
    y = np.einsum("gock,ngck...->ngo...", w, cols)
    return np.asarray(y.reshape(len(x), p.num_output, *cols.shape[4:]))


def _deconvolve(p: Message, x: Array, n: int, weight: Array) -> Array:
    kernel, stride, pad, dilation = _window(p, n)
    spatial = x.shape[2:]
    out = [
        s * (v - 1) + d * (k - 1) + 1 - 2 * q
        for v, k, s, q, d in zip(spatial, kernel, stride, pad, dilation, strict=True)
    ]
    check(min(out, default=1) > 0, "empty top")
    w = weight.reshape(p.group, x.shape[1] // p.group, p.num_output // p.group, *kernel)
    grouped = x.reshape(len(x), p.group, -1, *spatial)
    y = np.zeros((len(x), p.group, p.num_output // p.group, *out))
    for i in itertools.product(*(range(v) for v in spatial)):
        part = np.einsum("ngc,gco...->ngo...", grouped[(slice(None),) * 3 + i], w)
        for k in itertools.product(*(range(v) for v in kernel)):
            to = [v * s - q + j * d for v, s, q, j, d in zip(i, stride, pad, k, dilation, strict=True)]
            if all(0 <= t < m for t, m in zip(to, out, strict=True)):
                y[(slice(None),) * 3 + tuple(to)] += part[(slice(None),) * 3 + k]
    return y.reshape(len(x), p.num_output, *out)


def _pair(p: Message, name: str, joint: str) -> tuple[int, int]:
    if p.HasField(name + "_h") or p.HasField(name + "_w"):
        check(not p.HasField(joint) and p.HasField(name + "_h") and p.HasField(name + "_w"), name)
        return getattr(p, name + "_h"), getattr(p, name + "_w")
    return getattr(p, joint), getattr(p, joint)


def _pool_windows(n: int, k: int, s: int, p: int, *, up: bool, padded: bool) -> int:
    part = (n + 2 * p - k) / s
    out = (math.ceil(part) if up else math.floor(part)) + 1
    if padded:
        out -= (out - 1) * s >= n + p
        check((out - 1) * s < n + p, "the last window lies in the padding")
    check(out > 0, "no window")
    return out


def _pool(x: Array, method: str, kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int], up: bool) -> Array:
    """Pooled values and where the largest lie."""
    height, width = x.shape[2:]
    padded = any(pad)
    check(min(kernel) > 0 and min(stride) > 0, "kernel and stride")
    check(not padded or (pad[0] < kernel[0] and pad[1] < kernel[1]), "pad < kernel")
    sizes = [
        _pool_windows(n, k, s, p, up=up, padded=padded)
        for n, k, s, p in zip((height, width), kernel, stride, pad, strict=True)
    ]
    y = np.empty((2, *x.shape[:2], *sizes))
    for n, c, i, j in np.ndindex(*y.shape[1:]):
        h0, w0 = i * stride[0] - pad[0], j * stride[1] - pad[1]
        if method == "MAX":
            best, index = -FLT_MAX, -1
            for h in range(max(h0, 0), min(h0 + kernel[0], height)):
                for w in range(max(w0, 0), min(w0 + kernel[1], width)):
                    if x[n, c, h, w] > best:
                        best, index = x[n, c, h, w], h * width + w
            y[:, n, c, i, j] = best, index
            continue
        h1, w1 = min(h0 + kernel[0], height + pad[0]), min(w0 + kernel[1], width + pad[1])
        size = (h1 - h0) * (w1 - w0)
        total = x[n, c, max(h0, 0) : max(min(h1, height), 0), max(w0, 0) : max(min(w1, width), 0)].sum()
        y[:, n, c, i, j] = np.divide(total, size)
    return y


def _pooling(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p = layer.pooling_param
    check(xs[0].ndim == 4, "4 axes")
    method = p.PoolMethod.Name(p.pool)
    if p.global_pooling:
        check(not (p.HasField("kernel_size") or p.HasField("kernel_h") or p.HasField("kernel_w")), "kernel and global")
        kernel: tuple[int, int] = xs[0].shape[2:]
    else:
        both = p.HasField("kernel_h") and p.HasField("kernel_w")
        check(p.HasField("kernel_size") != both, "kernel_size or kernel_h and kernel_w")
        kernel = (p.kernel_size,) * 2 if p.HasField("kernel_size") else (p.kernel_h, p.kernel_w)
    pad, stride = _pair(p, "pad", "pad"), _pair(p, "stride", "stride")
    check(not p.global_pooling or (pad == (0, 0) and stride == (1, 1)), "pad and stride of global pooling")
    check(method != "STOCHASTIC", "stochastic pooling is not implemented for the CPU")
    y = _pool(xs[0], method, kernel, stride, pad, up=p.RoundMode.Name(p.round_mode) == "CEIL")
    check(method == "MAX" or len(layer.top) == 1, "a mask is of maxima")
    return [y[0], y[1]]


def _spp(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p = layer.spp_param
    check(xs[0].ndim == 4 and p.pyramid_height > 0, "4 axes")
    levels = []
    for level in range(p.pyramid_height):
        kernel = [math.ceil(n / 2**level) for n in xs[0].shape[2:]]
        pad = [(k * 2**level - n + 1) // 2 for k, n in zip(kernel, xs[0].shape[2:], strict=True)]
        levels.append(_pool(xs[0], p.PoolMethod.Name(p.pool), kernel, kernel, pad, up=True)[0])
    if p.pyramid_height == 1:
        return levels
    return [np.concatenate([v.reshape(len(v), -1) for v in levels], axis=1)]


def _lrn(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.lrn_param, xs[0]
    check(p.local_size % 2 == 1 and x.ndim == 4, "odd local_size, 4 axes")
    half = p.local_size // 2
    if p.NormRegion.Name(p.norm_region) == "WITHIN_CHANNEL":
        mean = _pool(x * x, "AVE", [p.local_size] * 2, [1, 1], [half] * 2, up=True)[0]
        return [x * (1 + p.alpha * mean) ** -p.beta]
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        total = (x[:, max(c - half, 0) : c + half + 1] ** 2).sum(axis=1)
        y[:, c] = x[:, c] * (p.k + p.alpha / p.local_size * total) ** -p.beta
    return [y]


def _mvn(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.mvn_param, legacy(xs[0])
    axes = (1, 2, 3) if p.across_channels else (2, 3)
    y = x - x.mean(axis=axes, keepdims=True)
    if p.normalize_variance:
        y = y / (np.sqrt((y * y).mean(axis=axes, keepdims=True)) + p.eps)
    return [y]


LAYERS: dict[str, Callable[..., list[Array]]] = {
    "Convolution": _each(_convolve),
    "Deconvolution": _each(_deconvolve),
    "Im2col": _im2col,
    "Pooling": _pooling,
    "SPP": _spp,
    "LRN": _lrn,
    "MVN": _mvn,
}
