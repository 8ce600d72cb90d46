"""The layers of Caffe's forks: functions that append a random layer to a growing network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tests.differential.draw import Grower, factors
from tests.differential.rules import Refused, count

__all__ = ["FORKS", "GATHERED"]

Adder = Callable[[Grower, str], None]


def _image(g: Grower, at: str) -> tuple[int, ...]:
    shape = g.value(at).shape
    if len(shape) != 4:
        raise Refused("4 axes")
    return shape


def _flag(g: Grower, name: str, p: float = 0.3) -> str:
    return f" {name}: {g.pick('true', 'false')}" if g.chance(p) else ""


def permute(g: Grower, at: str) -> None:
    rank = g.value(at).ndim
    order = [0, 2, 3, 1] if rank == 4 and g.chance(0.4) else list(g.rng.permutation(rank))
    if rank > 1 and g.chance(0.4):
        order = [0, *(1 + g.rng.permutation(rank - 1))]
    elif g.chance(0.15):
        order = list(range(rank))
    written = order if g.chance(0.8) else order[: g.whole(0, rank)]
    g.add("Permute", [at], f"permute_param {{ {' '.join(f'order: {i}' for i in written)} }}")


def normalize(g: Grower, at: str) -> None:
    x = g.value(at)
    shared = g.chance(0.4)
    text = _flag(g, "across_spatial", 0.8) + f" channel_shared: {str(shared).lower()}"
    text += f" eps: {g.number(1e-6, 0.5)}" if g.chance(0.3) else ""
    scale = g.normal(() if shared else x.shape[1:2])
    g.add("Normalize", [at], f"norm_param {{ {text} }}", tops=g.spot(at), weights=[scale])


def lengths(g: Grower, at: str) -> None:
    if not np.abs(g.value(at)).reshape(len(g.value(at)) if g.value(at).ndim else 1, -1).sum(axis=1).all():
        raise Refused("zeros")
    kind = g.pick("Normalization", "ChannelNorm")
    g.add(kind, [at], tops=g.spot(at) if kind == "Normalization" else 1)


def pointwise(g: Grower, at: str) -> None:
    kinds = {
        "ReLU6": g.pick("", f"relu6_param {{ negative_slope: {g.number(-0.5, 1)} }}"),
        "HardSwish": "",
        "NegReLU": g.pick("", f"relu_param {{ negative_slope: {g.number(-0.5, 1)} }}"),
        "Atan": "",
        "HardSigmoid": g.pick("", f"hard_sigmoid_param {{ alpha: {g.number(0.1, 1)} beta: {g.number(-1, 1)} }}"),
        "ReLU": f"relu_param {{ relu6: true negative_slope: {g.number(0, 1)} }}",
    }
    kind = g.pick(*kinds)
    g.add(kind, [at], kinds[kind], tops=g.spot(at))


def bn(g: Grower, at: str) -> None:
    x = g.value(at)
    if x.ndim < 2:
        raise Refused("axes")
    shape = (1, x.shape[1], 1, 1)
    weights: list[npt.ArrayLike] = [g.normal(shape), g.normal(shape)]
    if g.chance(0.5):
        weights += [g.normal(shape), np.abs(g.normal(shape)) + 0.1]
        text = f"bn_param {{ eps: {g.number(1e-4, 0.1)} {_flag(g, 'frozen')} }}"
        g.add("BN", [at], text, tops=g.spot(at), weights=weights)
    else:
        text = f"bn_param {{ bn_mode: {g.pick('LEARN', 'INFERENCE')} }}"
        g.add("BN", [at], text, tops=g.spot(at) if x.ndim == 4 else 1, weights=weights)


def axpy(g: Grower, at: str) -> None:
    x = g.value(at)
    if x.ndim < 2:
        raise Refused("axes")
    same = [b for b, v in g.machine.blobs.items() if v.shape == x.shape]
    other = same[g.whole(0, len(same) - 1)] if g.chance(0.6) else g.feed(g.normal(x.shape))
    factor = g.feed(g.normal((*x.shape[:2], 1, 1)) if g.chance(0.6) else g.normal(x.shape[:2]))
    if x.ndim == 4 and g.chance(0.5):
        (factor,) = g.add("Pooling", [at], "pooling_param { pool: AVE global_pooling: true }")
    g.add("Axpy", [factor, at, other] if g.chance(0.7) else [factor, other, at])


def shuffle(g: Grower, at: str) -> None:
    x = g.value(at)
    if x.ndim < 2:
        raise Refused("axes")
    groups = g.rng.choice(factors(x.shape[1]))
    g.add("ShuffleChannel", [at], f"shuffle_channel_param {{ group: {groups} }}")


def depthwise(g: Grower, at: str) -> None:
    c = _image(g, at)[1]
    kernel = [g.whole(1, 3)] * 2
    text = f"kernel_size: {kernel[0]}"
    if g.chance(0.4):
        kernel = [g.whole(1, 3), g.whole(1, 3)]
        text = f"kernel_h: {kernel[0]} kernel_w: {kernel[1]}"
    text += f" stride: {g.whole(1, 3)}" if g.chance(0.5) else ""
    text += f" pad: {g.whole(0, 2)}" if g.chance(0.5) else ""
    text += f" dilation: {g.whole(1, 2)}" if g.chance(0.2) else ""
    bias = g.chance(0.6)
    text += "" if bias else " bias_term: false"
    weights = [g.normal((c, 1, *kernel), 0.5)] + ([g.normal((c,))] if bias else [])
    if g.chance(0.5):
        kind, text = "ConvolutionDepthwise", text + (f" num_output: {c}" if g.chance(0.5) else "")
    else:
        kind, text = "DepthwiseConvolution", text + f" num_output: {c} group: {c}"
    g.add(kind, [at], f"convolution_param {{ {text} }}", weights=weights)


def _sides(g: Grower) -> str:
    return " ".join(f"pad_{s}: {g.whole(0, 3)}" for s in "lrtb") if g.chance(0.7) else "pad_type: 1"


def convolution(g: Grower, at: str) -> None:
    shape = _image(g, at)
    kind = g.pick("Convolution", "Convolution", "Deconvolution")
    kernel, outputs = [g.whole(1, 3), g.whole(1, 3)], g.whole(1, 4)
    text = f"num_output: {outputs} kernel_h: {kernel[0]} kernel_w: {kernel[1]} stride: {g.whole(1, 3)} "
    text += _sides(g) if g.chance(0.6) else f"pad: {g.whole(0, 2)}"
    text += f" {g.pick('dilation', 'hole')}: {g.whole(1, 2)}" if g.chance(0.3) else ""
    if g.chance(0.3):
        text += f" relu: true negative_slope: {g.pick(0, 0.3)}"
    rows = (shape[1], outputs) if kind == "Deconvolution" else (outputs, shape[1])
    weights = [g.normal((*rows, *kernel), 0.5), g.normal((outputs,))]
    (top,) = g.add(kind, [at], f"convolution_param {{ {text} }}", weights=weights)
    if g.chance(0.3):
        g.add("ReLU", [top], tops=g.spot(top))


def pooling(g: Grower, at: str) -> None:
    _image(g, at)
    text = f"pool: {g.pick('MAX', 'AVE', 'AVE_EXC_PAD')} kernel_size: {g.whole(1, 4)} stride: {g.whole(1, 3)} "
    text += _sides(g) if g.chance(0.6) else f"pad: {g.whole(0, 1)}"
    text += _flag(g, "ceil_mode") + _flag(g, "avg_include_pad")
    g.add("Pooling", [at], f"pooling_param {{ {text} }}")


def interp(g: Grower, at: str) -> None:
    _image(g, at)
    sized = f"height: {g.whole(1, 9)} width: {g.whole(1, 9)}"
    text = g.pick(sized, sized, f"zoom_factor: {g.whole(1, 3)}", f"shrink_factor: {g.whole(1, 3)}")
    text += f" pad_beg: {-g.whole(0, 2)} pad_end: {-g.whole(0, 2)}" if g.chance(0.3) else ""
    g.add("Interp", [at], f"interp_param {{ {text} }}")


def upsample(g: Grower, at: str) -> None:
    x = _image(g, at)
    if g.chance(0.4):
        g.add("Upsample", [at], f"upsample_param {{ scale: {g.whole(1, 3)} }}")
        return
    tops = g.add("Pooling", [at], f"pooling_param {{ pool: MAX kernel_size: {g.whole(2, 3)} stride: 2 }}", tops=2)
    if g.chance(0.4):
        tops = [g.add("TanH", tops[:1])[0], tops[1]]
    high, wide = (n - 2 * p for n, p in zip(x[2:], g.value(tops[0]).shape[2:], strict=True))
    if (high, wide) in ((0, 0), (-1, -1), (0, -1), (-1, 0)) and g.chance(0.5):
        text = f"scale: 2 pad_out_h: {str(high < 0).lower()} pad_out_w: {str(wide < 0).lower()}"
    else:
        text = f"upsample_h: {x[2]} upsample_w: {x[3]}"
    g.add("Upsample", tops, f"upsample_param {{ {text} }}")


def reorg(g: Grower, at: str) -> None:
    c, h, w = _image(g, at)[1:]
    reverse = g.chance(0.5)
    fits = [s for s in (1, 2, 3) if c % (s * s) == 0 and (reverse or h % s == w % s == 0)]
    text = f"stride: {fits[g.whole(0, len(fits) - 1)]} reverse: {str(reverse).lower()}"
    g.add("Reorg", [at], f"reorg_param {{ {text} }}")


def spread(g: Grower, at: str) -> None:
    shape = _image(g, at)
    style = g.pick("", "NHWC", "NCHW", "DCR", "CRD", "pixels")
    channels = shape[3] if style in ("", "NHWC") else shape[1]
    fits = [s for s in (1, 2, 3) if channels % (s * s) == 0]
    size = fits[-1] if g.chance(0.8) else fits[0]
    if style == "pixels":
        g.add("Reshape", [at], f"reshape_param {{ pixelshuffler: {size} }}")
        return
    text = f'block_size: {size} data_format: "{style}"' if style else f"block_size: {size}"
    g.add("DepthToSpace", [at], f"depth_to_space_param {{ {text} }}")


def squeeze(g: Grower, at: str) -> None:
    x = g.value(at)
    ones = [i for i, d in enumerate(x.shape) if d == 1]
    if ones and g.chance(0.7):
        axes = g.rng.permutation(ones)[: g.whole(0, len(ones))]
        written = (int(a) - x.ndim if g.chance(0.3) else a for a in axes)
        g.add("Squeeze", [at], f"squeeze_param {{ {' '.join(f'axis: {a}' for a in written)} }}")
    else:
        g.add("ExpandDimsND", [at], f"expand_dims_nd_param {{ axis: {g.whole(-x.ndim, x.ndim)} }}")


def pad(g: Grower, at: str) -> None:
    x = g.value(at)
    first = (0, 0) if g.chance(0.8) else (g.whole(0, 1), g.whole(0, 2))
    pads = [*first, *(g.whole(0, 2) for _ in range(2 * x.ndim - 2))]
    text = " ".join(f"paddings: {v}" for v in pads[: 2 * x.ndim])
    text += f" constant_values: {g.number(-1, 1)}" if g.chance(0.5) else ""
    g.add("Pad", [at], f"pad_param {{ {text} }}")


def mul(g: Grower, at: str) -> None:
    shape = [d if g.chance(0.6) else 1 for d in g.value(at).shape]
    shape = shape[g.whole(0, len(shape)) :] if g.chance(0.6) else shape
    if g.chance(0.5):
        dims = " ".join(f"mul_shape: {d}" for d in shape)
        g.add("Mul", [at], f"mul_param {{ {dims} }}", weights=[g.normal(shape)])
        return
    fits = [b for b, v in g.machine.blobs.items() if list(v.shape) == shape]
    other = fits[g.whole(0, len(fits) - 1)] if fits and g.chance(0.6) else g.feed(g.normal(shape)) if shape else at
    g.add("Mul", [at, other] if g.chance(0.7) else [other, at])


def mean(g: Grower, at: str) -> None:
    x = g.value(at)
    if x.ndim != 4:
        raise Refused("4 axes")
    values = int(g.rng.choice(factors(x.shape[1])))
    text = f"operation: {g.pick('ADD', 'SUBTRACT')} " + " ".join(f"value: {g.number(-2, 2)}" for _ in range(values))
    text += "".join(f" {n}_scale: {g.number(-2, 2)}" for n in ("mean", "input", "output") if g.chance(0.4))
    g.add("Mean", [at], f"mean_param {{ {text} }}", tops=g.spot(at))


def _like(g: Grower, at: str) -> str:
    images = [b for b, v in g.machine.blobs.items() if v.ndim == 4 and len(v) == len(g.value(at))]
    if g.chance(0.6):
        return images[g.whole(0, len(images) - 1)]
    return g.feed(g.normal((len(g.value(at)), g.whole(1, 2), g.whole(2, 9), g.whole(2, 9))))


def resized(g: Grower, at: str) -> None:
    if min(_image(g, at)[2:]) == 1:
        raise Refused("ties, which rounding decides")
    kind = g.pick("Resample", "Downsample")
    prefix = "top_" if kind == "Downsample" else ""
    text = f"type: {g.pick('LINEAR', 'NEAREST', 'CUBIC')} {_flag(g, 'antialias')}" if kind == "Resample" else ""
    bottoms = [at, _like(g, at)] if g.chance(0.5) else [at]
    if len(bottoms) == 1:
        text += f" {prefix}height: {g.whole(1, 9)} {prefix}width: {g.whole(1, 9)}"
    (top,) = g.add(kind, bottoms, f"{kind.lower()}_param {{ {text} }}")
    if g.chance(0.3):
        g.add("ReLU", [top], tops=g.spot(top))


def accum(g: Grower, at: str) -> None:
    _image(g, at)
    bottoms = [at, *(_like(g, at) for _ in range(g.whole(0, 2)))]
    text = g.pick("", f"top_height: {g.whole(5, 12)} top_width: {g.whole(5, 12)}", "size_divisible_by: 4")
    if len(bottoms) > 1 and g.chance(0.4):
        text = "have_reference: true"
    g.add("Accum", bottoms, f"accum_param {{ {text} }}")


def volumes(g: Grower, at: str) -> None:
    x = g.value(at)
    if x.ndim != 5:
        raise Refused("5 axes")
    if g.chance(0.5):
        text = f"pool: {g.pick('MAX', 'AVE')} kernel_size: {g.whole(1, 3)} kernel_depth: {g.whole(1, 3)}"
        text += f" stride: {g.whole(1, 2)} temporal_stride: {g.whole(1, 2)}"
        g.add("Pooling3D", [at], f"pooling3d_param {{ {text} }}")
        return
    kernel, outputs, bias = [g.whole(1, 3), *[g.whole(1, 3)] * 2], g.whole(1, 3), g.chance(0.6)
    text = f"num_output: {outputs} kernel_depth: {kernel[0]} kernel_size: {kernel[1]} stride: {g.whole(1, 2)}"
    text += f" pad: {g.whole(0, 1)} temporal_pad: {g.whole(0, 1)} bias_term: {str(bias).lower()}"
    weights = [g.normal((outputs, x.shape[1], *kernel), 0.3)] + ([g.normal((1, 1, 1, 1, outputs))] if bias else [])
    g.add("Convolution3D", [at], f"convolution3d_param {{ {text} }}", weights=weights)


def local(g: Grower, at: str) -> None:
    shape = _image(g, at)
    kernel, stride, edge, outputs = g.whole(1, 3), g.whole(1, 2), g.whole(0, 1), g.whole(1, 3)
    places = [(n + 2 * edge - kernel) // stride + 1 for n in shape[2:]]
    if min(places) < 1:
        raise Refused("no window fits")
    text = f"num_output: {outputs} kernel_size: {kernel} stride: {stride} pad: {edge}"
    weights = [g.normal((outputs, 1, shape[1] * kernel * kernel, count(places)), 0.4)]
    weights.append(g.normal((1, 1, outputs, count(places))))
    g.add("Local", [at], f"local_param {{ {text} }}", weights=weights)


def priors(g: Grower, at: str) -> None:
    _image(g, at)
    text = f"min_size: {g.number(1, 9)}"
    text += f" max_size: {g.number(10, 20)}" if g.chance(0.5) else ""
    text += "".join(f" aspect_ratio: {r}" for r in (2, 3, 0.5) if g.chance(0.4))
    text += _flag(g, "flip") + _flag(g, "clip")
    text += " variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2" if g.chance(0.5) else ""
    text += f" step: {g.whole(2, 8)}" if g.chance(0.3) else ""
    text += f" img_h: {g.whole(20, 40)} img_w: {g.whole(20, 40)}" if g.chance(0.3) else ""
    g.add("PriorBox", [at, _like(g, at)], f"prior_box_param {{ {text} }}")


def batch_norm(g: Grower, at: str) -> None:
    x = g.value(at)
    if x.ndim < 2:
        raise Refused("axes")
    c = x.shape[1:2]
    weights: list[npt.ArrayLike] = [g.normal(c), np.abs(g.normal(c)) + 0.1, [0.7], g.normal(c), g.normal(c)]
    text = g.pick("scale_bias: true", "relu: true", "eps: 0.01")
    g.add("BatchNorm", [at], f"batch_norm_param {{ {text} }}", tops=g.spot(at), weights=weights)


def scaled(g: Grower, at: str) -> None:
    """Append an Eltwise of one bottom, or the PReLU of a volume."""
    x = g.value(at)
    if x.ndim == 5:
        g.add("PReLU", [at], tops=g.spot(at), weights=[g.normal(x.shape[1:2])])
    else:
        g.add("Eltwise", [at], f"eltwise_param {{ operation: SUM coeff: {g.number(-2, 2)} }}")


def reverse(g: Grower, at: str) -> None:
    x = g.value(at)
    axes = [g.axis(x) for _ in range(g.whole(1, 2))]
    if len({a % x.ndim for a in axes}) < len(axes):
        raise Refused("repeated axis")
    g.add("Reverse", [at], f"reverse_param {{ {' '.join(f'axis: {a}' for a in axes)} }}")


def unstack(g: Grower, at: str) -> None:
    x = g.value(at)
    axis = g.axis(x)
    g.add("Unstack", [at], f"unstack_param {{ axis: {axis} }}", tops=x.shape[axis])


def boxes(g: Grower, at: str) -> None:
    """Append a pooling over random boxes."""
    shape = _image(g, at)
    corners = g.rng.uniform(-2, 12, (g.whole(1, 4), 4))
    low, high = np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])
    images = g.rng.integers(0, shape[0], (len(corners), 1))
    rois = g.feed(np.concatenate([images, low, high], axis=1))
    scale = g.pick(0.5, 1, 0.25)
    fits = [s for s in (1, 2, 3) if shape[1] % (s * s) == 0]
    if g.chance(0.5):
        text = f"pooled_h: {g.whole(1, 3)} pooled_w: {g.whole(1, 3)} spatial_scale: {scale}"
        g.add("ROIPooling", [at, rois], f"roi_pooling_param {{ {text} }}")
    else:
        size = fits[-1]
        text = f"spatial_scale: {scale} output_dim: {shape[1] // size**2} group_size: {size}"
        g.add("PSROIPooling", [at, rois], f"psroi_pooling_param {{ {text} }}")


def batches(g: Grower, at: str) -> None:
    """Append a SpaceToBatchND, and often its inverse."""
    x = g.value(at)
    if x.ndim < 3:
        raise Refused("axes")
    blocks = [g.whole(1, 3), g.whole(1, 2)]
    pads = [v for n, b in zip(x.shape[1:], blocks, strict=False) for v in (g.whole(0, 1), 0)]
    for i, (n, b) in enumerate(zip(x.shape[1:], blocks, strict=False)):
        pads[2 * i + 1] = -(n + pads[2 * i]) % b
    named = " ".join(f"block_shape: {b}" for b in blocks)
    text = f"{named} {' '.join(f'paddings: {p}' for p in pads)}"
    (top,) = g.add("SpaceToBatchND", [at], f"space_to_batch_nd_param {{ {text} }}")
    if g.chance(0.4):
        (top,) = g.add("TanH", [top])
    if g.chance(0.7):
        text = f"{named} {' '.join(f'crops: {p}' for p in pads)}"
        g.add("BatchToSpaceND", [top], f"batch_to_space_nd_param {{ {text} }}")


FORKS: tuple[Adder, ...] = (
    *(permute, permute, normalize, lengths, pointwise, pointwise, bn, axpy, shuffle, depthwise, convolution, pooling),
    *(interp, upsample, reorg, spread, squeeze, pad, mul, mean, resized, accum, volumes, local, priors, batch_norm),
    *(scaled, reverse, unstack),
)
GATHERED: tuple[Adder, ...] = (boxes, batches)
