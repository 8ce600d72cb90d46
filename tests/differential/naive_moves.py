"""Rules of layers that move, slice, join, select or reduce values, of Softmax and of Parameter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tests.differential.rules import Array, Message, axis_of, check, count

__all__ = ["LAYERS", "spread"]


def _argmax(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.argmax_param, xs[0]
    check(p.top_k >= 1 and x.ndim > 0, "top_k >= 1")
    rows = np.moveaxis(x, axis_of(x, p.axis), -1) if p.HasField("axis") else x.reshape(len(x), count(x.shape[1:]))
    check(p.top_k <= rows.shape[-1], "top_k")
    places = np.arange(rows.shape[-1])
    order = np.empty((*rows.shape[:-1], p.top_k), int)
    for at in np.ndindex(*rows.shape[:-1]):  # the last of equal values comes first
        order[at] = sorted(places, key=lambda i, r=rows[at]: (r[i], i), reverse=True)[: p.top_k]  # type: ignore[misc]
    largest = np.take_along_axis(rows, order, -1)
    if p.HasField("axis"):
        chosen = largest if p.out_max_val else order.astype(np.float64)
        return [np.moveaxis(chosen, -1, axis_of(x, p.axis))]
    both = [order.astype(np.float64), largest] if p.out_max_val else [order.astype(np.float64)]
    return [np.stack(both, axis=1).reshape(len(x), len(both), p.top_k, *[1] * (x.ndim - 3))]


def _batch_reindex(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    check(xs[0].ndim > 0 and xs[1].ndim == 1 and xs[1].min() >= 0 and xs[1].max() < len(xs[0]), "indices")
    return [xs[0][xs[1].astype(int)]]


def _joint(p: Message, old: str, x: Array) -> int:
    check(not (p.HasField("axis") and p.HasField(old)), f"axis or {old}")
    if p.HasField(old):
        check(getattr(p, old) < x.ndim, old)
        return int(getattr(p, old))
    return axis_of(x, p.axis)


def _concat(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    axis = _joint(layer.concat_param, "concat_dim", xs[0])
    for x in xs:
        check(x.ndim == xs[0].ndim, "axes")
        check(all(a == b for i, (a, b) in enumerate(zip(x.shape, xs[0].shape, strict=True)) if i != axis), "extents")
    return [np.concatenate(xs, axis)]


def _slice(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.slice_param, xs[0]
    axis, points = _joint(p, "slice_dim", x), list(p.slice_point)
    tops, n = len(layer.top), x.shape[_joint(p, "slice_dim", x)]
    if points:
        check(len(points) == tops - 1 and tops <= n, "slice_point")
        check(all(a < b for a, b in zip([0, *points], [*points, n], strict=True)), "slice_point")
        return [np.ascontiguousarray(v) for v in np.split(x, points, axis)]
    check(n % tops == 0, "even slices")
    return [np.ascontiguousarray(v) for v in np.split(x, tops, axis)]


def _crop(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, (x, like) = layer.crop_param, xs
    axis = axis_of(x, p.axis)
    check(len(p.offset) in (0, 1, x.ndim - axis), "offsets")
    cut = [slice(None)] * x.ndim
    for i in range(axis, x.ndim):
        start = 0 if not p.offset else p.offset[0] if len(p.offset) == 1 else p.offset[i - axis]
        check(i < like.ndim and x.shape[i] - start >= like.shape[i], "out of bounds")
        cut[i] = slice(start, start + like.shape[i])
    return [x[tuple(cut)]]


def _filter(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    check(len(layer.top) == len(xs) - 1 and all(x.ndim > 0 for x in xs), "tops")
    selector = xs[-1]
    check(all(d == 1 for d in selector.shape[1:]), "selector")
    check(all(len(x) == len(selector) for x in xs), "extents of axis 0")
    return [x[selector.reshape(-1) != 0] for x in xs[:-1]]


def _flatten(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    x = xs[0]
    start, end = axis_of(x, layer.flatten_param.axis), axis_of(x, layer.flatten_param.end_axis)
    check(start <= end + 1, "axis <= end_axis + 1")
    return [x.reshape(*x.shape[:start], count(x.shape[start : end + 1]), *x.shape[end + 1 :])]


def _reduction(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.reduction_param, xs[0]
    axis = axis_of(x, p.axis)
    rows = x.reshape(*x.shape[:axis], count(x.shape[axis:]))
    operation = p.ReductionOp.Name(p.operation)
    if operation == "ASUM":
        rows = np.abs(rows)
    elif operation == "SUMSQ":
        rows = rows * rows
    total = rows.sum(axis=-1) * p.coeff
    return [np.asarray(total / rows.shape[-1] if operation == "MEAN" else total)]


def _reshape(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.reshape_param, xs[0]
    if p.pixelshuffler != 1:
        return [spread(x, p.pixelshuffler, channel_first=True)]
    wanted = list(p.shape.dim)
    check(wanted.count(-1) <= 1, "one -1")
    start = p.axis if p.axis >= 0 else x.ndim + p.axis + 1
    check(0 <= start <= x.ndim and p.num_axes >= -1, "axis and num_axes")
    end = x.ndim if p.num_axes == -1 else start + p.num_axes
    check(end <= x.ndim, "num_axes")
    for i, d in enumerate(wanted):
        if d == 0:
            check(start + i < x.ndim, "nothing to copy")
            wanted[i] = x.shape[start + i]
    rest = count([d for d in wanted if d != -1]) * count(x.shape[:start]) * count(x.shape[end:])
    check(rest > 0 and (x.size % rest == 0 if -1 in wanted else x.size == rest), "count")
    shape = [x.size // rest if d == -1 else d for d in wanted]
    return [x.reshape((*x.shape[:start], *shape, *x.shape[end:]))]


def spread(x: Array, size: int, *, channel_first: bool) -> Array:
    """Return an image whose squares of `size` x `size` positions hold channels of the bottom (depth to space)."""
    check(x.ndim == 4 and size > 0, "4 axes")
    n, c, h, w = x.shape
    check(c % (size * size) == 0, "channels")
    y = np.empty((n, c // (size * size), h * size, w * size))
    for d, i, j in np.ndindex(y.shape[1], size, size):
        k = (d * size + i) * size + j if channel_first else (i * size + j) * y.shape[1] + d
        y[:, d, i::size, j::size] = x[:, k]
    return y


def _softmax(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    axis = axis_of(xs[0], layer.softmax_param.axis)
    e = np.exp(xs[0] - xs[0].max(axis=axis, keepdims=True))
    return [e / e.sum(axis=axis, keepdims=True)]


def _tile(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p = layer.tile_param
    axis = axis_of(xs[0], p.axis)
    check(p.tiles > 0, "tiles")
    return [np.concatenate([xs[0]] * p.tiles, axis)]


def _parameter(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    return [ws[0].reshape(tuple(layer.parameter_param.shape.dim))]


LAYERS: dict[str, Callable[..., list[Array]]] = {
    "ArgMax": _argmax,
    "BatchReindex": _batch_reindex,
    "Concat": _concat,
    "Crop": _crop,
    "Filter": _filter,
    "Flatten": _flatten,
    "Parameter": _parameter,
    "Reduction": _reduction,
    "Reshape": _reshape,
    "Silence": lambda *_: [],
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": lambda layer, xs, _: [xs[0]] * len(layer.top),
    "Tile": _tile,
}
