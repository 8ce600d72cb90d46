"""Rules of convolutions, pooling, and other layers with sliding windows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from tests.differential.rules import Array, Message, axis_of, check, count, legacy

__all__ = ["FLT_MAX", "LAYERS", "columns"]

Pads = list[tuple[int, int]]  # (before, after) for each axis

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


def _sides(p: Message) -> list[int]:
    """Return Synopsys' padding: top, bottom, left, right."""
    return [p.pad_t, p.pad_b, p.pad_l, p.pad_r]


def same_pads(spatial: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> Pads:
    """Return the padding of Synopsys' pad_type 1."""
    total = [max(k - (n % s or s), 0) for n, k, s in zip(spatial, kernel, stride, strict=True)]
    return [(t // 2, t - t // 2) for t in total]


def _window(p: Message, spatial: Sequence[int]) -> tuple[list[int], list[int], Pads, list[int]]:
    n = len(spatial)
    kernel = _spatial(p, "kernel", "kernel_size", n, None)
    stride = _spatial(p, "stride", "stride", n, 1)
    pads = [(v, v) for v in _spatial(p, "pad", "pad", n, 0)]
    dilation = _spatial(p, "", "dilation", n, 1)
    if p.HasField("hole") or p.HasField("hole_h"):
        dilation = [p.hole_h, p.hole_w] if p.HasField("hole_h") else [p.hole] * n
    check(all(k > 0 for k in kernel), "kernel")
    check(all(s > 0 for s in stride), "stride")
    sides = _sides(p)
    if any(sides):
        check(n == 2 and not p.pad_type and not any(map(any, pads)), "sides")
        check(max(*kernel, *stride) > 1, "the fork ignores sides here")
        pads = [(sides[0], sides[1]), (sides[2], sides[3])]
    elif p.pad_type:
        check(n == 2 and not any(map(any, pads)), "pad_type")
        check(max(*kernel, *stride) > 1, "the fork ignores pad_type here")
        pads = same_pads(spatial, kernel, stride)
    return kernel, stride, pads, dilation


def columns(
    x: Array, kernel: list[int], stride: list[int], pads: Pads, dilation: list[int], out: Sequence[int] = ()
) -> Array:
    """Return (N, C, *spatial) as (N, C, kernel positions, *output positions)."""
    spatial = x.shape[2:]
    if not out:
        covered = zip(spatial, kernel, stride, pads, dilation, strict=True)
        out = [int((n + sum(p) - (d * (k - 1) + 1)) / s) + 1 for n, k, s, p, d in covered]  # C++ rounds towards zero
    check(min(out, default=1) > 0, "no window fits")
    cols = np.zeros((*x.shape[:2], count(kernel), *out))
    for k, at in enumerate(itertools.product(*(range(v) for v in kernel))):
        for o in itertools.product(*(range(v) for v in out)):
            where = [v * s - p[0] + i * d for v, s, p, i, d in zip(o, stride, pads, at, dilation, strict=True)]
            if all(0 <= w < n for w, n in zip(where, spatial, strict=True)):
                cols[(slice(None),) * 2 + (k, *o)] = x[(slice(None),) * 2 + tuple(where)]
    return cols


def _columns(p: Message, x: Array) -> Array:
    kernel, stride, pads, dilation = _window(p, x.shape[2:])
    out = [math.ceil(n / s) for n, s in zip(x.shape[2:], stride, strict=True)] if p.pad_type else ()
    return columns(x, kernel, stride, pads, dilation, out)


def _channels(p: Message, x: Array) -> tuple[int, Array, int]:
    axis = axis_of(x, p.axis)
    return axis, x.reshape(count(x.shape[:axis]), *x.shape[axis:]), x.ndim - axis - 1


def _im2col(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p = layer.convolution_param
    axis, x, n = _channels(p, xs[0])
    check(n >= 1, "spatial axes")
    cols = _columns(p, x)
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
            if p.relu and layer.type != "Deconvolution":
                y = np.maximum(y, 0) + p.negative_slope * np.minimum(y, 0)
            tops.append(y.reshape(*given.shape[:axis], *y.shape[1:]))
        return tops

    return rule


def _convolve(p: Message, x: Array, n: int, weight: Array) -> Array:
    cols = _columns(p, x)
    w = weight.reshape(p.group, p.num_output // p.group, -1, cols.shape[2])
    cols = cols.reshape(len(x), p.group, -1, *cols.shape[2:])
    y = np.einsum("gock,ngck...->ngo...", w, cols)
    return np.asarray(y.reshape(len(x), p.num_output, *cols.shape[4:]))


def _deconvolve(p: Message, x: Array, n: int, weight: Array) -> Array:
    kernel, stride, pads, dilation = _window(p, x.shape[2:])
    check(not p.pad_type, "pad_type of a Deconvolution")
    spatial = x.shape[2:]
    out = [
        s * (v - 1) + d * (k - 1) + 1 - sum(q)
        for v, k, s, q, d in zip(spatial, kernel, stride, pads, dilation, strict=True)
    ]
    check(min(out, default=1) > 0, "empty top")
    w = weight.reshape(p.group, x.shape[1] // p.group, p.num_output // p.group, *kernel)
    grouped = x.reshape(len(x), p.group, -1, *spatial)
    y = np.zeros((len(x), p.group, p.num_output // p.group, *out))
    for i in itertools.product(*(range(v) for v in spatial)):
        part = np.einsum("ngc,gco...->ngo...", grouped[(slice(None),) * 3 + i], w)
        for k in itertools.product(*(range(v) for v in kernel)):
            to = [v * s - q[0] + j * d for v, s, q, j, d in zip(i, stride, pads, k, dilation, strict=True)]
            if all(0 <= t < m for t, m in zip(to, out, strict=True)):
                y[(slice(None),) * 3 + tuple(to)] += part[(slice(None),) * 3 + k]
    return y.reshape(len(x), p.num_output, *out)


def _pair(p: Message, name: str, joint: str) -> tuple[int, int]:
    if p.HasField(name + "_h") or p.HasField(name + "_w"):
        check(not p.HasField(joint) and p.HasField(name + "_h") and p.HasField(name + "_w"), name)
        return getattr(p, name + "_h"), getattr(p, name + "_w")
    return getattr(p, joint), getattr(p, joint)


def _pool_windows(n: int, k: int, s: int, p: tuple[int, int], *, up: bool, padded: bool) -> int:
    part = (n + sum(p) - k) / s
    out = (math.ceil(part) if up else math.floor(part)) + 1
    if padded:
        out -= (out - 1) * s >= n + p[0]
        check((out - 1) * s < n + p[0], "the last window lies in the padding")
    check(out > 0, "no window")
    return out


def _pool(
    x: Array, method: str, kernel: Sequence[int], stride: Sequence[int], pads: Pads, up: bool, sizes: Sequence[int] = ()
) -> Array:
    """Return the pooled values, and the indices of the maxima."""
    height, width = x.shape[2:]
    check(min(kernel) > 0 and min(stride) > 0, "kernel and stride")
    sizes = sizes or [
        _pool_windows(n, k, s, p, up=up, padded=any(map(any, pads)))
        for n, k, s, p in zip((height, width), kernel, stride, pads, strict=True)
    ]
    y = np.empty((2, *x.shape[:2], *sizes))
    for n, c, i, j in np.ndindex(*y.shape[1:]):
        h0, w0 = i * stride[0] - pads[0][0], j * stride[1] - pads[1][0]
        if method == "MAX":
            best, index = -FLT_MAX, -1
            for h in range(max(h0, 0), min(h0 + kernel[0], height)):
                for w in range(max(w0, 0), min(w0 + kernel[1], width)):
                    if x[n, c, h, w] > best:
                        best, index = x[n, c, h, w], h * width + w
            y[:, n, c, i, j] = best, index
            continue
        h1, w1 = min(h0 + kernel[0], height + pads[0][1]), min(w0 + kernel[1], width + pads[1][1])
        size = (h1 - h0) * (w1 - w0)
        if method == "AVE_EXC_PAD":
            size = (min(h1, height) - max(h0, 0)) * (min(w1, width) - max(w0, 0))
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
    check(not any(pad) or (pad[0] < kernel[0] and pad[1] < kernel[1]), "pad < kernel")
    sides, sizes = _sides(p), []
    pads = [(sides[0], sides[1]), (sides[2], sides[3])] if any(sides) else [(v, v) for v in pad]
    check(not any(sides) or not (p.pad_type or any(pad)), "sides")
    if p.pad_type:
        check(not any(pad), "pad_type")
        pads = same_pads(xs[0].shape[2:], kernel, stride)
        sizes = [math.ceil(n / s) for n, s in zip(xs[0].shape[2:], stride, strict=True)]
    method = "AVE_EXC_PAD" if method == "AVE_TF" or (method == "AVE" and not p.avg_include_pad) else method
    up = p.RoundMode.Name(p.round_mode) == "CEIL" if p.HasField("round_mode") else p.ceil_mode
    y = _pool(xs[0], method, kernel, stride, pads, up, sizes)
    check(method == "MAX" or len(layer.top) == 1, "only MAX has a mask")
    return [y[0], y[1]]


def _spp(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p = layer.spp_param
    check(xs[0].ndim == 4 and p.pyramid_height > 0, "4 axes")
    levels = []
    for level in range(p.pyramid_height):
        kernel = [math.ceil(n / 2**level) for n in xs[0].shape[2:]]
        pad = [(k * 2**level - n + 1) // 2 for k, n in zip(kernel, xs[0].shape[2:], strict=True)]
        check(not any(pad) or (pad[0] < kernel[0] and pad[1] < kernel[1]), "pad < kernel")
        levels.append(_pool(xs[0], p.PoolMethod.Name(p.pool), kernel, kernel, [(v, v) for v in pad], up=True)[0])
    if p.pyramid_height == 1:
        return levels
    return [np.concatenate([v.reshape(len(v), -1) for v in levels], axis=1)]


def _lrn(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.lrn_param, xs[0]
    check(p.local_size % 2 == 1 and x.ndim == 4, "odd local_size, 4 axes")
    half = p.local_size // 2
    if p.NormRegion.Name(p.norm_region) == "WITHIN_CHANNEL":
        mean = _pool(x * x, "AVE", [p.local_size] * 2, [1, 1], [(half, half)] * 2, up=True)[0]
        return [x * (1 + p.alpha * mean) ** -p.beta]
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        total = (x[:, max(c - half, 0) : c + half + 1] ** 2).sum(axis=1)
        y[:, c] = x[:, c] * (p.k + p.alpha / p.local_size * total) ** -p.beta
    return [y]


def _mvn(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.mvn_param, legacy(xs[0])
    axes = (1, 2, 3) if p.across_channels else (2, 3)
    mean = x.mean(axis=axes, keepdims=True)
    y = x - mean
    if p.normalize_variance:
        deviation = np.sqrt((y * y).mean(axis=axes, keepdims=True)) + p.eps
        check(bool((deviation > 1e-5 * np.abs(mean)).all()), "a variance this small is mostly rounding error")
        y = y / deviation
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
