"""Rules of layers of Caffe's forks that resize images, slide windows over them, or pool over boxes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from tests.differential.naive_windows import FLT_MAX, columns
from tests.differential.rules import Array, Message, check, integers, legacy

__all__ = ["LAYERS"]

F = np.float32


def _half_away(x: np.float32) -> int:
    """Round as C++ does: halves away from zero."""
    return int(math.copysign(math.floor(abs(float(x)) + 0.5), float(x)))


def _interp_size(p: Message, n: int, stated: int) -> int:
    shrunk, zoomed = p.HasField("shrink_factor"), p.HasField("zoom_factor")
    check(p.shrink_factor >= 1 and p.zoom_factor >= 1, "factors")
    if shrunk == zoomed and p.HasField("height") and p.HasField("width"):
        return stated
    check(shrunk or zoomed, "no size")
    n = (n - 1) // int(p.shrink_factor) + 1 if shrunk else n
    return n + (n - 1) * (int(p.zoom_factor) - 1)


def _interp(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.interp_param, legacy(xs[0])
    check(p.pad_beg <= 0 and p.pad_end <= 0, "pads")
    check(min(x.shape[2:]) + p.pad_beg + p.pad_end > 0, "extents")
    x = x[:, :, -p.pad_beg : x.shape[2] + p.pad_end, -p.pad_beg : x.shape[3] + p.pad_end]
    if len(xs) > 1:
        sizes = list(legacy(xs[1]).shape[2:])
    else:
        sizes = [_interp_size(p, n, stated) for n, stated in zip(x.shape[2:], (p.height, p.width), strict=True)]
    check(min(sizes) > 0, "extents")
    for axis, m in zip((2, 3), sizes, strict=True):
        n = x.shape[axis]
        rate = F(n - 1) / F(m - 1) if m > 1 else F(0)
        places = [float(rate * F(i)) for i in range(m)]
        lines = []
        for place in places:
            first = int(place)
            low, high = (x.take(i, axis) for i in (first, min(first + 1, n - 1)))
            lines.append(low + (place - first) * (high - low))
        x = np.stack(lines, axis)
    return [x]


def _accum_size(p: Message, shapes: Sequence[tuple[int, ...]]) -> list[int]:
    largest = [max(s[i] for s in shapes) for i in (2, 3)]
    wanted = [p.top_height, p.top_width]
    if p.HasField("size_divisible_by"):
        wanted = [math.ceil(n / p.size_divisible_by) * p.size_divisible_by for n in largest]
    return wanted if wanted[0] > largest[0] and wanted[1] > largest[1] else largest


def _accum(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, images = layer.accum_param, [legacy(x) for x in xs]
    if p.have_reference:
        check(len(images) > 1, "a reference")
        sizes = list(images.pop().shape[2:])
    else:
        sizes = _accum_size(p, [x.shape for x in images])
    check(min(sizes) > 1, "a division by 0")
    check(all(len(x) == len(images[0]) for x in images), "num")
    y = np.empty((len(images[0]), sum(x.shape[1] for x in images), *sizes))
    at = 0
    for x in images:
        for i, j in np.ndindex(*sizes):
            spots = [float(F(k) / F(m - 1) * F(n - 1)) for k, m, n in zip((i, j), sizes, x.shape[2:], strict=True)]
            (top, dy), (left, dx) = [(int(v), v - int(v)) for v in spots]
            bottom, right = min(top + 1, x.shape[2] - 1), min(left + 1, x.shape[3] - 1)
            y[:, at : at + x.shape[1], i, j] = (1 - dy) * (
                (1 - dx) * x[:, :, top, left] + dx * x[:, :, top, right]
            ) + dy * ((1 - dx) * x[:, :, bottom, left] + dx * x[:, :, bottom, right])
        at += x.shape[1]
    return [y]


def _triangle(x: float) -> float:
    return max(0.0, 1 - abs(x))


def _cubic(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return x * x * (1.5 * x - 2.5) + 1
    return x * (x * (-0.5 * x + 2.5) - 4) + 2 if x < 2 else 0.0


def _resample(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.resample_param, legacy(xs[0])
    sizes = legacy(xs[1]).shape[2:] if len(xs) > 1 else (p.height, p.width)
    check(min(sizes) > 0, "extents")
    fy, fx = (F(n) / F(m) for n, m in zip(x.shape[2:], sizes, strict=True))
    kind = p.ResampleType.Name(p.type)
    narrowed = p.antialias and max(fx, fy) > 1
    y = np.zeros((*x.shape[:2], *sizes))
    for i, j in np.ndindex(*sizes):
        at_y, at_x = F(i) * fy + fx / F(2) - F(0.5), F(j) * fx + fy / F(2) - F(0.5)
        row, column = _half_away(at_y), _half_away(at_x)
        if kind == "NEAREST":
            check(0 <= row < x.shape[2] and 0 <= column < x.shape[3], "outside the image")
            y[:, :, i, j] = x[:, :, row, column]
            continue
        total, shape = 0.0, _cubic if kind == "CUBIC" else _triangle
        reach = 4 if kind == "CUBIC" else 2
        ay, ax = ((1 / float(f) if narrowed else 1.0) for f in (fy, fx))
        ry, rx = (2 if f < 1 else math.ceil(reach / a - 1e-6) for f, a in ((fy, ay), (fx, ax)))
        for r, c in itertools.product(range(row - ry, row + ry + 1), range(column - rx, column + rx + 1)):
            if 0 <= r < x.shape[2] and 0 <= c < x.shape[3]:
                weight = ay * shape(ay * (float(at_y) - r)) * ax * shape(ax * (float(at_x) - c))
                y[:, :, i, j] += weight * x[:, :, r, c]
                total += weight
        check(abs(total) > 1e-3, "too small a weight")
        y[:, :, i, j] /= total
    return [y]


def _downsample(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.downsample_param, legacy(xs[0])
    sizes = legacy(xs[1]).shape[2:] if len(xs) > 1 else (p.top_height, p.top_width)
    check(min(sizes) > 0, "extents")
    if sizes == x.shape[2:]:
        return [x]
    check(min(*sizes, *x.shape[2:]) > 1, "a division by 0")
    scales = [float(F(n - 1) / F(m - 1)) for n, m in zip(x.shape[2:], sizes, strict=True)]
    y = np.zeros((*x.shape[:2], *sizes))
    reach = [math.ceil(s) for s in scales]
    for at in np.ndindex(*sizes):
        spots = [F(i) / F(m - 1) * F(n - 1) for i, m, n in zip(at, sizes, x.shape[2:], strict=True)]
        near = [range(_half_away(v) - r, _half_away(v) + r + 1) for v, r in zip(spots, reach, strict=True)]
        total = 0.0
        for where in itertools.product(*near):
            if all(0 <= k < n for k, n in zip(where, x.shape[2:], strict=True)):
                weight = math.prod(_triangle((k - float(v)) / s) for k, v, s in zip(where, spots, scales, strict=True))
                y[:, :, at[0], at[1]] += weight * x[:, :, where[0], where[1]]
                total += weight
        check(total > 1e-3, "too small a weight")
        y[(..., *at)] /= total
    return [y]


def _upsample(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.upsample_param, xs[0]
    if len(xs) == 1:
        scale = p.scale if p.HasField("scale") else 1
        check(x.ndim == 4, "4 axes")
        return [x.repeat(scale, 2).repeat(scale, 3)]
    check(x.ndim == 4 and xs[1].shape == x.shape, "a mask of the same shape")
    if p.HasField("upsample_h") and p.HasField("upsample_w"):
        sizes = [p.upsample_h, p.upsample_w]
        check(min(sizes) > 1, "extents")
    else:
        stated = [p.HasField("scale_h"), p.HasField("scale_w")]
        check(not any(stated) or (all(stated) and not p.HasField("scale")), "scale")
        scales = [p.scale_h, p.scale_w] if p.HasField("scale_h") else [p.scale] * 2
        cut = [p.pad_out_h, p.pad_out_w]
        check(min(scales) > 1 and all(s == 2 or not c for s, c in zip(scales, cut, strict=True)), "scale")
        sizes = [n * s - c for n, s, c in zip(x.shape[2:], scales, cut, strict=True)]
    y = np.zeros((*x.shape[:2], sizes[0] * sizes[1]))
    for n, c, h, w in np.ndindex(*x.shape):
        index = int(xs[1][n, c, h, w])
        check(0 <= index < y.shape[2], "an index outside the top")
        y[n, c, index] = x[n, c, h, w]
    return [y.reshape(*x.shape[:2], *sizes)]


def _boxes(p: Message) -> list[tuple[float, float]]:
    ratios: list[float] = [1.0]
    for ratio in p.aspect_ratio:
        if all(abs(ratio - r) >= 1e-6 for r in ratios):
            ratios += [ratio, float(F(1 / ratio))] if p.flip else [ratio]
    check(len(p.max_size) in (0, len(p.min_size)), "max_size")
    boxes: list[tuple[float, float]] = []
    for i, size in enumerate(int(s) for s in p.min_size):
        boxes.append((size, size))
        if p.max_size:
            check(p.max_size[i] > p.min_size[i], "max_size > min_size")
            boxes.append((float(F(math.sqrt(size * int(p.max_size[i])))),) * 2)
        boxes += [(size * math.sqrt(r), size / math.sqrt(r)) for r in ratios if abs(r - 1) >= 1e-6]
    return boxes


def _prior_box(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, grid, image = layer.prior_box_param, legacy(xs[0]).shape[2:], legacy(xs[1]).shape[2:]
    check(len(p.min_size) > 0 and len(p.variance) in (0, 1, 4), "min_size and variance")
    if p.HasField("img_h") or p.HasField("img_w"):
        image = (p.img_h, p.img_w)
    elif p.HasField("img_size"):
        image = (p.img_size, p.img_size)
    steps = [F(m) / F(n) for m, n in zip(image, grid, strict=True)]
    if p.HasField("step_h") or p.HasField("step_w"):
        steps = [F(p.step_h), F(p.step_w)]
    elif p.HasField("step"):
        steps = [F(p.step)] * 2
    values: list[float] = []
    for h, w in np.ndindex(*grid):
        cy, cx = (float((F(i) + F(p.offset)) * s) for i, s in zip((h, w), steps, strict=True))
        for bw, bh in _boxes(p):
            left, right = ((cx + s * bw / 2) / image[1] for s in (-1, 1))
            top, bottom = ((cy + s * bh / 2) / image[0] for s in (-1, 1))
            values += [left, top, right, bottom]
    boxes = np.clip(values, 0, 1) if p.clip else np.array(values)
    variance = np.resize(np.array(p.variance or [0.1]), boxes.shape)
    return [np.stack([boxes, variance])[None]]


def _roi_pooling(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, (x, rois) = layer.roi_pooling_param, xs
    check(x.ndim == 4 and rois.size == len(rois) * 5 and p.pooled_h > 0 and p.pooled_w > 0, "pooled")
    grid = (p.pooled_h, p.pooled_w)
    y = np.zeros((len(rois), x.shape[1], *grid))
    for n, roi in enumerate(rois.reshape(-1, 5)):
        check(0 <= int(roi[0]) < len(x), "no such image")
        left, top, right, bottom = (_half_away(F(v) * F(p.spatial_scale)) for v in roi[1:])
        bins = [F(max(b - a + 1, 1)) / F(g) for a, b, g in ((top, bottom, grid[0]), (left, right, grid[1]))]
        for at in np.ndindex(*grid):
            ends = [
                [min(max(int(f(F(i + k) * b)) + start, 0), m) for f, k in ((math.floor, 0), (math.ceil, 1))]
                for i, b, start, m in zip(at, bins, (top, left), x.shape[2:], strict=True)
            ]
            (h0, h1), (w0, w1) = ends
            if h0 < h1 and w0 < w1:
                y[(n, slice(None), *at)] = x[int(roi[0]), :, h0:h1, w0:w1].max(axis=(1, 2))
    return [y]


def _psroi_pooling(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, (x, rois) = layer.psroi_pooling_param, xs
    g, d = p.group_size, p.output_dim
    check(x.ndim == 4 and x.shape[1] == d * g * g, "channels")
    y = np.zeros((len(rois), d, g, g))
    for n, roi in enumerate(rois.reshape(-1, 5)):
        check(0 <= int(roi[0]) < len(x), "no such image")
        low = [F(_half_away(F(v))) * F(p.spatial_scale) for v in (roi[2], roi[1])]
        high = [F(_half_away(F(v)) + 1) * F(p.spatial_scale) for v in (roi[4], roi[3])]
        bins = [F(max(b - a, F(0.1))) / F(g) for a, b in zip(low, high, strict=True)]
        for at in np.ndindex(g, g):
            ends = [
                [min(max(int(f(F(i + k) * b + start)), 0), m) for f, k in ((math.floor, 0), (math.ceil, 1))]
                for i, b, start, m in zip(at, bins, low, x.shape[2:], strict=True)
            ]
            (h0, h1), (w0, w1) = ends
            if h0 < h1 and w0 < w1:
                for k in range(d):
                    y[(n, k, *at)] = x[int(roi[0]), (k * g + at[0]) * g + at[1], h0:h1, w0:w1].mean()
    return [y]


def _depthwise(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.convolution_param, legacy(xs[0])
    both = p.HasField("kernel_h") and p.HasField("kernel_w")
    kernel = [p.kernel_h, p.kernel_w] if both else [p.kernel_size[0]] * 2
    stride = [p.stride_h, p.stride_w] if p.HasField("stride_h") and p.HasField("stride_w") else [*p.stride, 1][:1] * 2
    pad = [p.pad_h, p.pad_w] if p.HasField("pad_h") and p.HasField("pad_w") else [*p.pad, 0][:1] * 2
    dilation = [*p.dilation, 1][:1] * 2
    cols = columns(x, kernel, stride, [(v, v) for v in pad], dilation)
    y = np.einsum("nckhw,ck->nchw", cols, ws[0].reshape(x.shape[1], -1))
    return [y + ws[1].reshape(-1, 1, 1) if p.bias_term else y]


def _local(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    x, outputs = xs[0], integers(layer, "num_output")[0]
    check(x.ndim == 4, "4 axes")
    kernel, stride, pad = ((integers(layer, f) or [d])[0] for f, d in (("kernel_size", 0), ("stride", 1), ("pad", 0)))
    cols = columns(x, [kernel] * 2, [stride] * 2, [(pad, pad)] * 2, [1, 1])
    flat = cols.reshape(len(x), -1, math.prod(cols.shape[3:]))
    y = np.einsum("nkp,okp->nop", flat, ws[0].reshape(outputs, *flat.shape[1:]))
    y = y + ws[1].reshape(outputs, -1) if len(ws) > 1 else y
    return [y.reshape(len(x), outputs, *cols.shape[3:])]


def _convolution3d(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.convolution3d_param, xs[0]
    check(x.ndim == 5 and p.num_output > 0 and p.num_output % p.filter_group == 0, "5 axes")
    kernel = [p.kernel_depth, p.kernel_size, p.kernel_size]
    pads = [(v, v) for v in (p.temporal_pad, p.pad, p.pad)]
    cols = columns(x, kernel, [p.temporal_stride, p.stride, p.stride], pads, [1, 1, 1])
    y = np.einsum("ock,nck...->no...", ws[0].reshape(p.num_output, x.shape[1], -1), cols)
    return [y + ws[1].reshape(-1, 1, 1, 1) if p.bias_term else y]


def _pooling3d(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.pooling3d_param, xs[0]
    method = p.PoolMethod.Name(p.pool)
    check(x.ndim == 5 and (p.pad == 0 or method == "AVE"), "5 axes")
    kernel, stride = [p.kernel_depth, *[p.kernel_size] * 2], [p.temporal_stride, *[p.stride] * 2]
    pads = [0, p.pad, p.pad]
    sizes = [math.ceil((n + 2 * q - k) / s) + 1 for n, q, k, s in zip(x.shape[2:], pads, kernel, stride, strict=True)]
    check(min(sizes) > 0, "extents")
    y = np.empty((*x.shape[:2], *sizes))
    for at in np.ndindex(*sizes):
        starts = [i * s - q for i, s, q in zip(at, stride, pads, strict=True)]
        ends = [min(a + k, n + q) for a, k, n, q in zip(starts, kernel, x.shape[2:], pads, strict=True)]
        inside = tuple(slice(max(a, 0), max(min(b, n), 0)) for a, b, n in zip(starts, ends, x.shape[2:], strict=True))
        values = x[(slice(None), slice(None), *inside)]
        if method == "MAX":
            y[(..., *at)] = values.max(axis=(2, 3, 4), initial=-FLT_MAX)
        else:
            size = math.prod(b - a for a, b in zip(starts, ends, strict=True))
            y[(..., *at)] = np.divide(values.sum(axis=(2, 3, 4)), size)
    return [y]


LAYERS: dict[str, Callable[..., list[Array]]] = {
    "Accum": _accum,
    "Convolution3D": _convolution3d,
    "ConvolutionDepthwise": _depthwise,
    "Downsample": _downsample,
    "Interp": _interp,
    "Local": _local,
    "Pooling3D": _pooling3d,
    "PriorBox": _prior_box,
    "PSROIPooling": _psroi_pooling,
    "Resample": _resample,
    "ROIPooling": _roi_pooling,
    "Upsample": _upsample,
}
