"""The layers of BVLC's Caffe with all parameters: functions that append a random layer to a growing network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tests.differential.draw import Grower, split_count
from tests.differential.menu_losses import labelled, lstm_unit, paired, recurrent, rows
from tests.differential.rules import Refused

__all__ = ["CHAIN", "EVERYTHING", "LOSSES"]

Adder = Callable[[Grower, str], None]


def _sized(g: Grower, stem: str, repeated: str, n: int, low: int, high: int) -> tuple[str, list[int]]:
    style = g.whole(0, 3)
    if style == 0 and n == 2 and stem:
        values = [g.whole(low, high), g.whole(low, high)]
        return f"{stem}_h: {values[0]} {stem}_w: {values[1]}", values
    if style == 1 and n > 0:
        values = [g.whole(low, high) for _ in range(n)]
        return " ".join(f"{repeated}: {v}" for v in values), values
    value = g.whole(low, high)
    return f"{repeated}: {value}", [value] * n


def _window(g: Grower, n: int) -> tuple[str, list[int]]:
    text, kernel = _sized(g, "kernel", "kernel_size", n, 1, 4)
    parts = [text]
    if g.chance(0.6):
        parts.append(_sized(g, "stride", "stride", n, 1, 3)[0])
    if g.chance(0.6):
        parts.append(_sized(g, "pad", "pad", n, 0, 3)[0])
    if g.chance(0.25):
        parts.append(_sized(g, "", "dilation", n, 0 if g.chance(0.1) else 1, 3)[0])
    return " ".join(parts), kernel


def _convolutional(g: Grower, at: str, kind: str) -> None:
    x = g.value(at)
    if x.ndim < 2:
        raise Refused("axes")
    axis = 1 if g.chance(0.85) else g.whole(0, x.ndim - 1)
    n, channels = x.ndim - axis - 1, x.shape[axis]
    window, kernel = _window(g, n)
    group = int(g.rng.choice([d for d in range(1, channels + 1) if channels % d == 0])) if g.chance(0.4) else 1
    outputs = group * g.whole(1, 3)
    if g.chance(0.15):
        group = outputs = channels
    bias = g.chance(0.7)
    rows = (channels, outputs // group) if kind == "Deconvolution" else (outputs, channels // group)
    weights = [g.normal((*rows, *kernel), 0.5)] + ([g.normal((outputs,))] if bias else [])
    text = f"num_output: {outputs} {window}"
    if group > 1 or g.chance(0.1):
        text += f" group: {group}"
    if not bias or g.chance(0.2):
        text += f" bias_term: {str(bias).lower()}"
    if axis != 1 or g.chance(0.1):
        text += f" axis: {axis - x.ndim if g.chance(0.4) else axis}"
    if g.chance(0.05):
        text += " force_nd_im2col: true"
    bottoms = [at]
    if g.chance(0.06):
        bottoms.append(g.feed(g.normal(x.shape)))
    tops = g.add(kind, bottoms, f"convolution_param {{ {text} }}", tops=len(bottoms), weights=weights)
    _activate(g, tops[0])


def _activate(g: Grower, top: str) -> None:
    """Append activations, often several in place in the same blob."""
    while g.chance(0.4):
        kind = g.pick("ReLU", "ReLU", "ReLU", "Sigmoid", "TanH", "Dropout")
        (top,) = g.add(kind, [top], tops=[top] if g.read.get(top, 0) == 0 and g.chance(0.7) else 1)


def convolution(g: Grower, at: str) -> None:
    _convolutional(g, at, "Convolution")


def deconvolution(g: Grower, at: str) -> None:
    _convolutional(g, at, "Deconvolution")


def im2col(g: Grower, at: str) -> None:
    x = g.value(at)
    if x.ndim < 2:
        raise Refused("axes")
    axis = 1 if g.chance(0.8) else g.whole(0, x.ndim - 1)
    window, _ = _window(g, x.ndim - axis - 1)
    g.add("Im2col", [at], f"convolution_param {{ {window} axis: {axis - x.ndim if g.chance(0.3) else axis} }}")


def pooling(g: Grower, at: str) -> None:
    method, tops = g.pick("MAX", "AVE"), 1
    text = f"pool: {method}"
    if g.chance(0.15):
        text += " global_pooling: true"
    else:
        text += " " + _pooled(g, "kernel_size", "kernel", 1, 4)
        text += " " + _pooled(g, "stride", "stride", 1, 3) if g.chance(0.7) else ""
        text += " " + _pooled(g, "pad", "pad", 0, 2) if g.chance(0.5) else ""
        text += f" round_mode: {g.pick('CEIL', 'FLOOR')}" if g.chance(0.4) else ""
    if method == "MAX" and g.chance(0.1):
        tops = 2
    g.add("Pooling", [at], f"pooling_param {{ {text} }}", tops=tops)


def _pooled(g: Grower, joint: str, stem: str, low: int, high: int) -> str:
    if g.chance(0.4):
        return f"{stem}_h: {g.whole(low, high)} {stem}_w: {g.whole(low, high)}"
    return f"{joint}: {g.whole(low, high)}"


def spp(g: Grower, at: str) -> None:
    g.add("SPP", [at], f"spp_param {{ pyramid_height: {g.whole(1, 3)} pool: {g.pick('MAX', 'AVE')} }}")


def lrn(g: Grower, at: str) -> None:
    text = f"local_size: {g.pick(1, 3, 5, 7)} alpha: {g.number(0.01, 3)} beta: {g.number(0.2, 1.5)}"
    text += f" k: {g.number(0.5, 3)}" if g.chance(0.5) else ""
    text += f" norm_region: {g.pick('ACROSS_CHANNELS', 'WITHIN_CHANNEL')}"
    g.add("LRN", [at], f"lrn_param {{ {text} }}")


def mvn(g: Grower, at: str) -> None:
    text = f"normalize_variance: {g.pick('true', 'false')} across_channels: {g.pick('true', 'false')}"
    text += f" eps: {g.number(1e-4, 0.5)}" if g.chance(0.4) else ""
    g.add("MVN", [at], f"mvn_param {{ {text} }}", tops=g.spot(at))


def batch_norm(g: Grower, at: str) -> None:
    x = g.value(at)
    if x.ndim < 2:
        raise Refused("axes")
    factor = float(g.rng.choice([1.0, 0.5, 3.7, 0.0], p=[0.4, 0.3, 0.25, 0.05]))
    c = x.shape[1]
    statistics: list[npt.ArrayLike] = [g.normal((c,)), np.abs(g.normal((c,))) + 0.1, [factor]]
    text = f"eps: {g.number(1e-4, 0.1)}" if g.chance(0.4) or factor == 0 else ""
    text += f" use_global_stats: {g.pick('true', 'true', 'false')}" if g.chance(0.4) else ""
    (top,) = g.add("BatchNorm", [at], f"batch_norm_param {{ {text} }}", tops=g.spot(at), weights=statistics)
    if g.chance(0.5):
        weights = [g.normal((c,)), g.normal((c,))]
        (top,) = g.add("Scale", [top], "scale_param { bias_term: true }", tops=g.spot(top), weights=weights)
    if g.chance(0.3):
        g.add("ReLU", [top], tops=g.spot(top))


def _covered(g: Grower, at: str) -> tuple[str, tuple[int, ...], int, int]:
    x = g.value(at)
    if x.ndim == 0:
        raise Refused("axes")
    axis = min(1, x.ndim - 1) if g.chance(0.5) else g.whole(0, x.ndim - 1)
    axes = int(g.rng.choice([-1, 0, 1, g.whole(0, x.ndim - axis)]))
    shape = x.shape[axis:] if axes == -1 else x.shape[axis : axis + axes]
    written = axis - x.ndim if g.chance(0.3) else axis
    return f"axis: {written} num_axes: {axes}", shape, written, axis


def scale(g: Grower, at: str) -> None:
    text, shape, axis, _ = _covered(g, at)
    bias = g.chance(0.5)
    if g.chance(0.35):
        other = g.feed(g.normal(shape))
        text, weights, bottoms = f"axis: {axis}", [], [at, other]
    else:
        weights, bottoms = [g.normal(shape)], [at]
    weights += [g.normal(shape)] if bias else []
    text += " bias_term: true" if bias else ""
    g.add("Scale", bottoms, f"scale_param {{ {text} }}", tops=g.spot(at), weights=weights)


def bias(g: Grower, at: str) -> None:
    text, shape, axis, _ = _covered(g, at)
    if g.chance(0.35):
        g.add("Bias", [at, g.feed(g.normal(shape))], f"bias_param {{ axis: {axis} }}", tops=g.spot(at))
    else:
        g.add("Bias", [at], f"bias_param {{ {text} }}", tops=g.spot(at), weights=[g.normal(shape)])


def neuron(g: Grower, at: str) -> None:
    low = float(g.value(at).min())
    positive = f"scale: {g.number(0.5, 2)} shift: {1 - 2 * min(low, 0):.4g}"
    kinds = {
        "AbsVal": "",
        "BNLL": "",
        "Clip": f"clip_param {{ min: {g.number(-1, 0)} max: {g.number(0, 1)} }}",
        "Dropout": "dropout_param { dropout_ratio: 0.3 }",
        "ELU": f"elu_param {{ alpha: {g.number(-1, 2)} }}",
        "Exp": f"exp_param {{ base: {g.pick(-1, 2, 0.5)} scale: {g.number(-1, 1)} shift: {g.number(-1, 1)} }}",
        "Log": f"log_param {{ base: {g.pick(-1, 2, 10)} {positive} }}",
        "Power": g.pick(
            f"power_param {{ power: {g.pick(-1, 0, 0.5, 1, 2, 3)} {positive} }}",
            f"power_param {{ power: {g.pick(0, 1, 2, 3)} scale: {g.number(-2, 2)} shift: {g.number(-2, 2)} }}",
            f"power_param {{ power: {g.pick(0, 2)} scale: {g.pick(0, 1)} shift: {g.pick(0, 2)} }}",
        ),
        "ReLU": g.pick("", f"relu_param {{ negative_slope: {g.number(-0.5, 1)} }}"),
        "Sigmoid": "",
        "Swish": f"swish_param {{ beta: {g.number(-1, 2)} }}",
        "TanH": "",
        "Threshold": f"threshold_param {{ threshold: {g.number(-0.5, 0.5)} }}",
    }
    kind = g.pick(*kinds)
    g.add(kind, [at], kinds[kind], tops=1 if kind == "AbsVal" else g.spot(at))


def prelu(g: Grower, at: str) -> None:
    x = g.value(at)
    shared = g.chance(0.3)
    slope = g.normal(() if shared else x.shape[1:2] or (1,))
    g.add("PReLU", [at], f"prelu_param {{ channel_shared: {str(shared).lower()} }}", tops=g.spot(at), weights=[slope])


def eltwise(g: Grower, at: str) -> None:
    shape = g.value(at).shape
    same = [b for b, v in g.machine.blobs.items() if v.shape == shape]
    bottoms = [at, *(same[g.whole(0, len(same) - 1)] for _ in range(g.whole(1, 2)))]
    if len(same) == 1 or g.chance(0.3):
        bottoms[1] = g.feed(g.normal(shape)) if g.chance(0.5) else g.add("TanH", [at])[0]
    operation = g.pick("SUM", "SUM", "PROD", "MAX")
    coefficients = (
        " ".join(f"coeff: {g.number(-2, 2)}" for _ in bottoms) if operation == "SUM" and g.chance(0.4) else ""
    )
    g.add("Eltwise", bottoms, f"eltwise_param {{ operation: {operation} {coefficients} }}")


def inner_product(g: Grower, at: str) -> None:
    x = g.value(at)
    axis = 1 if x.ndim > 1 and g.chance(0.7) else g.axis(x)
    inputs, outputs = int(np.prod(x.shape[axis:])), g.whole(1, 9)
    transposed, biased = g.chance(0.3), g.chance(0.7)
    weights = [g.normal((inputs, outputs) if transposed else (outputs, inputs), inputs**-0.5)]
    weights += [g.normal((outputs,))] if biased else []
    text = f"num_output: {outputs} axis: {axis} bias_term: {str(biased).lower()} transpose: {str(transposed).lower()}"
    _activate(g, g.add("InnerProduct", [at], f"inner_product_param {{ {text} }}", weights=weights)[0])


def embed(g: Grower, at: str) -> None:
    rank = g.whole(1, 3)
    inputs, outputs, biased = g.whole(1, 6), g.whole(1, 4), g.chance(0.6)
    indices = g.feed(g.rng.integers(0, inputs, [g.whole(1, 4) for _ in range(rank)]))
    weights = [g.normal((inputs, outputs))] + ([g.normal((outputs,))] if biased else [])
    text = f"num_output: {outputs} input_dim: {inputs} bias_term: {str(biased).lower()}"
    g.add("Embed", [indices], f"embed_param {{ {text} }}", weights=weights)


def argmax(g: Grower, at: str) -> None:
    text = f"top_k: {g.pick(1, 1, 2, 3)} out_max_val: {g.pick('true', 'false')}"
    text += f" axis: {g.axis(g.value(at))}" if g.chance(0.6) else ""
    g.add("ArgMax", [at], f"argmax_param {{ {text} }}")


def batch_reindex(g: Grower, at: str) -> None:
    if g.value(at).ndim == 0:
        raise Refused("axes")
    indices = g.feed(g.rng.integers(0, len(g.value(at)), [g.whole(1, 4)]))
    g.add("BatchReindex", [at, indices])


def concat(g: Grower, at: str) -> None:
    x = g.value(at)
    axis = 1 if x.ndim > 1 and g.chance(0.5) else g.axis(x)
    fits = [
        b
        for b, v in g.machine.blobs.items()
        if v.ndim == x.ndim and np.delete(v.shape, axis).tolist() == np.delete(x.shape, axis).tolist()
    ]
    bottoms = [fits[g.whole(0, len(fits) - 1)] for _ in range(g.whole(0, 2))]
    if g.chance(0.3):
        shape = list(x.shape)
        shape[axis] = g.whole(1, 3)
        bottoms.append(g.feed(g.normal(shape)))
    bottoms.insert(g.whole(0, len(bottoms)), at)
    old = axis >= 0 and g.chance(0.15)
    g.add("Concat", bottoms, f"concat_param {{ {'concat_dim' if old else 'axis'}: {axis} }}")


def slices(g: Grower, at: str) -> None:
    x = g.value(at)
    axis = 1 if x.ndim > 1 and g.chance(0.5) else g.axis(x)
    n, tops = x.shape[axis], g.whole(1, 3)
    text = f"{'slice_dim' if axis >= 0 and g.chance(0.15) else 'axis'}: {axis}"
    if 1 < tops <= n and g.chance(0.7):
        points = sorted(g.rng.choice(np.arange(1, n), tops - 1, replace=False))
        text += "".join(f" slice_point: {p}" for p in points)
    made = g.add("Slice", [at], f"slice_param {{ {text} }}", tops=tops)
    if g.chance(0.6) and tops > 1:
        g.add("Concat", made[::-1], f"concat_param {{ axis: {axis} }}")


def crop(g: Grower, at: str) -> None:
    x = g.value(at)
    axis = g.axis(x)
    first = axis % x.ndim
    sizes = [g.whole(1, d) if i >= first else g.whole(1, 4) for i, d in enumerate(x.shape)]
    offsets = [g.whole(0, d - s) for d, s in zip(x.shape[first:], sizes[first:], strict=True)]
    if g.chance(0.3):
        offsets = offsets[:1]
    like = g.feed(g.normal(sizes))
    g.add("Crop", [at, like], f"crop_param {{ axis: {axis} {' '.join(f'offset: {o}' for o in offsets)} }}")


def filters(g: Grower, at: str) -> None:
    if g.value(at).ndim == 0:
        raise Refused("axes")
    n = len(g.value(at))
    chosen = g.rng.integers(0, 2, n) * g.rng.uniform(-2, 2, n)
    chosen[g.whole(0, n - 1)] = 1
    g.add("Filter", [at, g.feed(chosen.reshape([n] + [1] * g.whole(0, 3)))])


def flatten(g: Grower, at: str) -> None:
    x = g.value(at)
    if g.chance(0.5):
        g.add("Flatten", [at])
    else:
        g.add("Flatten", [at], f"flatten_param {{ axis: {g.axis(x)} end_axis: {g.axis(x)} }}")


def reduction(g: Grower, at: str) -> None:
    text = f"operation: {g.pick('SUM', 'MEAN', 'ASUM', 'SUMSQ')} axis: {g.axis(g.value(at))}"
    text += f" coeff: {g.number(-2, 2)}" if g.chance(0.5) else ""
    g.add("Reduction", [at], f"reduction_param {{ {text} }}")


def reshape(g: Grower, at: str) -> None:
    x = g.value(at)
    start = g.whole(0, x.ndim) if g.chance(0.4) else min(1, x.ndim)
    axes = g.whole(0, x.ndim - start) if g.chance(0.4) else -1
    end = x.ndim if axes == -1 else start + axes
    inner = x.shape[start:end]
    dims = [*inner] if g.chance(0.15) else split_count(g, int(np.prod(inner)), g.whole(1, 4))
    written = [0 if i < len(inner) and d == inner[i] and g.chance(0.5) else d for i, d in enumerate(dims)]
    if written and g.chance(0.6):
        written[g.whole(0, len(written) - 1)] = -1
    if start == 1 and axes == -1 and g.chance(0.5):
        start, written = 0, [0, *written]
    axis = start - x.ndim - 1 if g.chance(0.2) else start
    text = f"shape {{ {' '.join(f'dim: {d}' for d in written)} }} axis: {axis} num_axes: {axes}"
    g.add("Reshape", [at], f"reshape_param {{ {text} }}")


def softmax(g: Grower, at: str) -> None:
    g.add("Softmax", [at], f"softmax_param {{ axis: {g.axis(g.value(at))} }}", tops=g.spot(at))


def tile(g: Grower, at: str) -> None:
    g.add("Tile", [at], f"tile_param {{ axis: {g.axis(g.value(at))} tiles: {g.whole(1, 3)} }}")


def split(g: Grower, at: str) -> None:
    tops = g.add("Split", [at], tops=g.whole(1, 3))
    if g.chance(0.4):
        g.add(g.pick("ReLU", "TanH"), tops[-1:], tops=tops[-1:])


def silence(g: Grower, at: str) -> None:
    g.add("Silence", [at], tops=0)


def parameter(g: Grower, at: str) -> None:
    shape = [g.whole(1, 4) for _ in range(g.whole(1, 4))]
    dims = " ".join(f"dim: {d}" for d in shape)
    g.add("Parameter", [], f"parameter_param {{ shape {{ {dims} }} }}", weights=[g.normal(shape)])


CHAIN: tuple[Adder, ...] = (
    *(convolution, convolution, pooling, lrn, mvn, batch_norm, scale, neuron, neuron, prelu, eltwise, inner_product),
    *(argmax, concat, slices, crop, flatten, flatten, reduction, reshape, reshape, softmax, tile, split, deconvolution),
)
LOSSES: tuple[Adder, ...] = (labelled, labelled, paired, rows)
EVERYTHING: tuple[Adder, ...] = (
    *CHAIN,
    *LOSSES,
    *(im2col, spp, bias, embed, batch_reindex, filters, silence, parameter, recurrent, lstm_unit, recurrent),
    *(convolution, deconvolution, pooling, scale),
)
