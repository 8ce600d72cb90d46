"""Rules of layers of Caffe's forks that compute value by value, normalize, or move values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from caffe2tf.proto import caffe_pb2
from tests.differential.naive_moves import spread
from tests.differential.rules import Array, Message, axis_of, check, count, integers, legacy

__all__ = ["LAYERS", "SHARED"]

Rule = Callable[[Message, Sequence[Array], Sequence[Array]], list[Array]]


def _value(f: Callable[[Message, Array], Array]) -> Rule:
    return lambda layer, xs, _: [np.asarray(f(layer, xs[0]))]


def _relu6(layer: Message, x: Array) -> Array:
    return np.minimum(np.maximum(x, 0), 6) + float(layer.relu6_param.negative_slope) * np.minimum(x, 0)


def _neg_relu(layer: Message, x: Array) -> Array:
    return np.minimum(x, 0) + float(layer.relu_param.negative_slope) * np.maximum(x, 0)


def _hard_sigmoid(layer: Message, x: Array) -> Array:
    p = layer.hard_sigmoid_param
    return np.clip(float(p.alpha) * x + float(p.beta), 0, 1)


def _normalization(layer: Message, x: Array) -> Array:
    check(x.ndim >= 1, "an axis")
    rows = x.reshape(len(x), -1)
    return np.asarray(rows / np.sqrt((rows * rows).sum(axis=1, keepdims=True))).reshape(x.shape)


def _normalize(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.norm_param, legacy(xs[0])
    check(xs[0].ndim >= 2, "2 axes")
    check(ws[0].size == (1 if p.channel_shared else x.shape[1]), "scales")
    y = np.empty_like(x)
    for n, image in enumerate(x):
        square = (image * image).sum() if p.across_spatial else (image * image).sum(axis=0)
        y[n] = image / np.sqrt(square + p.eps) * ws[0].reshape(-1, 1, 1)
    return [y.reshape(xs[0].shape)]


def _channel_norm(layer: Message, x: Array) -> Array:
    check(x.ndim >= 2, "2 axes")
    return np.asarray(np.sqrt((legacy(x) ** 2).sum(axis=1, keepdims=True)))


def _bn(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    """SegNet's BN has two blobs, PSPNet's has four."""
    p, x = layer.bn_param, legacy(xs[0])
    check(all(w.size == x.shape[1] for w in ws), "blobs")
    blobs = [w.reshape(1, -1, 1, 1) for w in ws]
    if len(blobs) == 4:
        if layer.HasField("phase") and layer.phase == caffe_pb2.TRAIN and not p.frozen:
            blobs[2], blobs[3] = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
            check(bool(blobs[3].min() > 1e-3), "a variance this small is mostly rounding error")
        return [((x - blobs[2]) / np.sqrt(blobs[3] + p.eps) * blobs[0] + blobs[1]).reshape(xs[0].shape)]
    if p.BNMode.Name(p.bn_mode) == "LEARN":
        mean, square = (v.mean(axis=(0, 2, 3), keepdims=True) for v in (x, x * x))
        check(
            bool((square - mean * mean > 1e-3 + 0.01 * square).all()), "a variance this small is mostly rounding error"
        )
        statistics = [mean, square - mean * mean]
        x = (x - mean) / np.sqrt(square - mean * mean + 1e-9)
    else:
        statistics = [np.zeros((1, x.shape[1], 1, 1))] * 2
    return [x * blobs[0] + blobs[1], *statistics]


def _axpy(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    a, x, y = xs
    check(2 <= x.ndim <= 4 and a.ndim >= 2 and a.shape[:2] == x.shape[:2] and x.shape == y.shape, "shapes")
    check(a.ndim == 2 or a.shape[2:] == (1, 1), "one factor for each channel")
    top = y.copy()
    for n, c in np.ndindex(*x.shape[:2]):
        top[n, c] += a[n, c].reshape(()) * x[n, c]
    return [top]


def _shuffle(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    x, groups = legacy(xs[0]), layer.shuffle_channel_param.group
    check(xs[0].ndim >= 2 and groups > 0 and x.shape[1] % groups == 0, "group")
    columns = x.shape[1] // groups
    y = np.empty_like(x)
    for i, j in np.ndindex(groups, columns):
        y[:, j * groups + i] = x[:, i * columns + j]
    return [y]


def _permute(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    return [xs[0].transpose(_order(layer, xs[0].ndim))]


def _order(layer: Message, rank: int) -> list[int]:
    order = list(layer.permute_param.order)
    check(len(set(order)) == len(order) and all(i < rank for i in order), "order")
    return order + [i for i in range(rank) if i not in order]


def _reorg(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.reorg_param, legacy(xs[0])
    n, c, h, w = x.shape
    s = p.stride
    check(s > 0 and c % (s * s) == 0, "channels")
    wide = [n, c // (s * s), h * s, w * s]
    flat, y = x.reshape(-1), np.empty(x.size)
    for i, (b, k, row, column) in enumerate(np.ndindex(n, c, h, w)):
        part = k // wide[1]
        at = [b, k % wide[1], row * s + part // s, column * s + part % s]
        j = np.ravel_multi_index(at, wide)
        y[j if p.reverse else i] = flat[i if p.reverse else j]
    check(p.reverse or (h % s == 0 and w % s == 0), "extents")
    return [y.reshape(wide if p.reverse else (n, c * s * s, h // s, w // s))]


def _squeeze(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    x = xs[0]
    axes = {axis_of(x, a) for a in layer.squeeze_param.axis} or {i for i, d in enumerate(x.shape) if d == 1}
    check(all(x.shape[a] == 1 for a in axes), "extent 1")
    return [x.reshape([d for i, d in enumerate(x.shape) if i not in axes])]


def _expand_dims(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    shape = list(xs[0].shape)
    for i, axis in enumerate(integers(layer, "axis")):
        check(-len(xs[0].shape) <= axis <= len(xs[0].shape), "axis")
        at = i + (axis if axis >= 0 else axis + xs[0].ndim + 1)
        shape.insert(at, 1)
    return [xs[0].reshape(shape)]


def _depth_to_space(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p = layer.depth_to_space_param
    check(xs[0].ndim == 4 and p.block_size > 0, "4 axes")
    x = xs[0].transpose(0, 3, 1, 2) if p.data_format == "NHWC" else xs[0]
    y = spread(x, p.block_size, channel_first=p.data_format == "CRD")
    return [y.transpose(0, 2, 3, 1) if p.data_format == "NHWC" else y]


def _pad(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, x = layer.pad_param, xs[0]
    pads = list(p.paddings)
    check(len(pads) == 2 * x.ndim > 0, "paddings")
    shape = [d + pads[2 * i] + pads[2 * i + 1] for i, d in enumerate(x.shape)]
    y = np.full(shape, float(p.constant_values))
    y[tuple(slice(pads[2 * i], pads[2 * i] + d) for i, d in enumerate(x.shape))] = x
    return [y]


def _mul(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    a, b = (xs[0], xs[1]) if len(xs) > 1 else (xs[0], ws[0].reshape(integers(layer, "mul_shape")))
    pairs = zip(a.shape[::-1], b.shape[::-1], strict=False)
    check(all(m == n or 1 in (m, n) for m, n in pairs), "shapes")
    return [np.asarray(a * b)]


def _mean(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, tops = layer.mean_param, []
    check(len(layer.top) == len(layer.bottom), "a top for each bottom")
    for given in xs:
        x = legacy(given)
        check(x.shape[1] % len(p.value) == 0, "values")
        mean = np.array([p.value[c % len(p.value)] for c in range(x.shape[1])]).reshape(1, -1, 1, 1)
        signed = -mean if p.MeanOperation.Name(p.operation) == "SUBTRACT" else mean
        tops.append(p.output_scale * (p.input_scale * x + p.mean_scale * signed))
    return tops


def _reverse(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    axes = sorted({axis_of(xs[0], a) for a in integers(layer, "axis")})
    return [np.flip(xs[0], tuple(axes))]


def _unstack(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    axis = axis_of(xs[0], (integers(layer, "axis") or [0])[0])
    check(len(layer.top) == xs[0].shape[axis], "a top for each index")
    return [np.array(v, order="C") for v in np.moveaxis(xs[0], axis, 0)]


def _space_to_batch(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    x, blocks, pads = xs[0], integers(layer, "block_shape"), integers(layer, "paddings")
    m = len(blocks)
    check(len(pads) == 2 * m and x.ndim > m, "axes")
    x = np.pad(x, [(0, 0), *((pads[2 * i], pads[2 * i + 1]) for i in range(m)), *[(0, 0)] * (x.ndim - m - 1)])
    check(all(x.shape[i + 1] % b == 0 for i, b in enumerate(blocks)), "blocks")
    return [np.concatenate([x[_every(at, blocks)] for at in np.ndindex(*blocks)])]


def _every(at: Sequence[int], blocks: Sequence[int]) -> tuple[slice, ...]:
    """Return the index of the values at one position of all blocks, for the whole batch."""
    return (slice(None), *(slice(o, None, b) for o, b in zip(at, blocks, strict=True)))


def _batch_to_space(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    x, blocks, crops = xs[0], integers(layer, "block_shape"), integers(layer, "crops")
    m, items = len(blocks), len(x) // count(blocks)
    check(len(crops) == 2 * m and x.ndim > m and items * count(blocks) == len(x), "axes")
    y = np.empty((items, *(d * b for d, b in zip(x.shape[1:], blocks, strict=False)), *x.shape[m + 1 :]))
    for i, at in enumerate(np.ndindex(*blocks)):
        y[_every(at, blocks)] = x[i * items : (i + 1) * items]
    kept = [slice(crops[2 * i], y.shape[i + 1] - crops[2 * i + 1]) for i in range(m)]
    check(all(k.start < k.stop for k in kept), "crops")
    return [y[(slice(None), *kept)]]


LAYERS: dict[str, Rule] = {
    "Atan": _value(lambda _, x: np.arctan(x)),
    "HardSigmoid": _value(_hard_sigmoid),
    "HardSwish": _value(lambda _, x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6),
    "NegReLU": _value(_neg_relu),
    "ReLU6": _value(_relu6),
    "ChannelNorm": _value(_channel_norm),
    "Normalization": _value(_normalization),
    "Normalize": _normalize,
    "BN": _bn,
    "Axpy": _axpy,
    "ShuffleChannel": _shuffle,
    "Permute": _permute,
    "Reorg": _reorg,
    "Squeeze": _squeeze,
    "ExpandDimsND": _expand_dims,
    "DepthToSpace": _depth_to_space,
    "Pad": _pad,
    "Mul": _mul,
    "Mean": _mean,
    "Reverse": _reverse,
    "Unstack": _unstack,
    "SpaceToBatchND": _space_to_batch,
    "BatchToSpaceND": _batch_to_space,
}

# Whether the top is an alias of the bottom, by layer type.
SHARED: dict[str, Callable[[Message, Array, Array], bool]] = {
    "Squeeze": lambda *_: True,
    "ExpandDimsND": lambda *_: True,
    "Permute": lambda layer, x, _: _order(layer, x.ndim) == list(range(x.ndim)),
}
