"""Convolution of forks: padding of each side, "same" padding, `hole`, and a ReLU inside the layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError, LayerError, LayerUnsupportedError, UnsupportedError
from caffe2tf.ir import Layout, Value
from caffe2tf.ir.expr import Call
from caffe2tf.layers import Context
from caffe2tf.layers.vision.convolution import Convolution
from caffe2tf.parse import read_network
from tests import builders
from tests.builders import input_layers, write_caffemodel, write_prototxt
from tests.layers.oracle import Array, assert_matches, run_layer

Pair = tuple[int, int]


def draw(*shape: int, seed: int = 8) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def layer(parameters: str, *, name: str = "conv", top: str = "out", type_: str = "Convolution") -> str:
    return builders.layer(type_, name, ["data"], [top], f"convolution_param {{ {parameters} }}")


@dataclass(frozen=True, kw_only=True)
class Case:
    """The parameters of one layer."""

    k: Pair = (3, 3)
    s: Pair = (1, 1)
    d: Pair = (1, 1)
    pads: tuple[Pair, Pair] = ((0, 0), (0, 0))
    same: bool = False
    group: int = 1
    outs: int = 6

    def text(self, name: str, *, hole: bool) -> str:
        (top, bottom), (left, right) = self.pads
        (kh, kw), (sh, sw), (dh, dw) = self.k, self.s, self.d
        fields = f"num_output: {self.outs} group: {self.group} bias_term: false kernel_h: {kh} kernel_w: {kw} "
        fields += f"stride_h: {sh} stride_w: {sw} "
        fields += f"hole_h: {dh} hole_w: {dw} " if hole else f"dilation: {dh} dilation: {dw} "
        fields += "pad_type: 1" if self.same else f"pad_t: {top} pad_b: {bottom} pad_l: {left} pad_r: {right}"
        return layer(fields, name=name, top=name)

    def along(self, i: int, n: int) -> tuple[int, int]:
        """Return the number of windows along an axis, and the padding before the input, by the fork's formulas."""
        k, s, d, (before, after) = self.k[i], self.s[i], self.d[i], self.pads[i]
        if self.same:
            return math.ceil(n / s), max(k - (n % s or s), 0) // 2
        return int((n + before + after - d * (k - 1) - 1) / s) + 1, before


def convolve(x: Array, w: Array, c: Case) -> Array:
    """Sum over the window and the channels of the group; values outside the image are 0."""
    (rows, top), (columns, left) = c.along(0, x.shape[2]), c.along(1, x.shape[3])
    y = np.zeros((x.shape[0], w.shape[0], rows, columns))
    outs, ins = w.shape[0] // c.group, w.shape[1]
    for g, i, j, m, q in np.ndindex(c.group, rows, columns, *c.k):
        row, column = i * c.s[0] + m * c.d[0] - top, j * c.s[1] + q * c.d[1] - left
        if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
            kernel = w[g * outs : (g + 1) * outs, :, m, q].astype(np.float64)
            y[:, g * outs : (g + 1) * outs, i, j] += x[:, g * ins : (g + 1) * ins, row, column] @ kernel.T
    return y.astype(np.float32)


def pair(rng: np.random.Generator, low: int, high: int) -> Pair:
    return int(rng.integers(low, high)), int(rng.integers(low, high))


def drawn_case(rng: np.random.Generator) -> Case:
    same = bool(rng.random() < 0.4)
    return Case(
        k=pair(rng, 1, 5),
        s=pair(rng, 1, 4),
        d=pair(rng, 1, 4) if rng.random() < 0.5 else (1, 1),
        pads=((0, 0), (0, 0)) if same else (pair(rng, 0, 4), pair(rng, 0, 4)),
        same=same,
        group=int(rng.choice([1, 2, 3, 6])),
        outs=6 * int(rng.integers(1, 4)),
    )


@pytest.mark.parametrize("seed", range(10))
def test_any_window(seed: int) -> None:
    rng = np.random.default_rng(seed)
    extent = pair(rng, 2, 10)
    drawn = (drawn_case(rng) for _ in range(40))
    cases = [c for c in drawn if min(c.along(0, extent[0])[0], c.along(1, extent[1])[0]) > 0][:10]
    assert len(cases) > 6
    x = draw(2, 6, *extent, seed=seed)
    weights = {f"y{i}": [draw(c.outs, 6 // c.group, *c.k, seed=i)] for i, c in enumerate(cases)}
    out = run_layer("".join(c.text(f"y{i}", hole=i % 2 > 0) for i, c in enumerate(cases)), {"data": x}, weights)
    for i, c in enumerate(cases):
        assert_matches(out[f"y{i}"], convolve(x, weights[f"y{i}"][0], c), str(c), tolerance=2e-6)


def test_pad_is_ignored_with_same_padding() -> None:
    x, w = draw(2, 3, 7, 6), draw(4, 3, 3, 2)
    fields = "num_output: 4 bias_term: false kernel_h: 3 kernel_w: 2 stride: 2 pad_h: 3 pad_w: 1 pad_type: 1"
    out = run_layer(layer(fields), {"data": x}, {"conv": [w]})["out"]
    assert_matches(out, convolve(x, w, Case(k=(3, 2), s=(2, 2), same=True)))


def test_type_hole_convolution() -> None:
    x, w = draw(2, 3, 9, 8), draw(4, 3, 3, 3)
    fields = "num_output: 4 bias_term: false kernel_size: 3 hole: 2 pad: 1"
    out = run_layer(layer(fields, type_="HoleConvolution"), {"data": x}, {"conv": [w]})["out"]
    assert_matches(out, convolve(x, w, Case(d=(2, 2), pads=((1, 1), (1, 1)))))


RELUS = {
    "relu: true": 0.0,
    "relu: true negative_slope: 0.25": 0.25,
    "relu: true negative_slope: -0.5": -0.5,
    "relu: false negative_slope: 0.25": 1.0,
    "fuse_type: FUSED_CONV_RELU": 0.0,
    "fuse_type: UNFUSED": 1.0,
}


@pytest.mark.parametrize("more", ["", " dilation: 2 stride: 2", " group: 2"])
def test_relu_inside_the_layer(more: str) -> None:
    x, w, b = draw(2, 4, 7, 6), draw(6, 2 if "group" in more else 4, 3, 3), draw(6)
    fields = f"num_output: 6 kernel_size: 3{more} "
    text = layer(fields, name="plain", top="plain")
    text += "".join(layer(fields + words, name=f"y{i}", top=f"y{i}") for i, words in enumerate(RELUS))
    out = run_layer(text, {"data": x}, {name: [w, b] for name in ("plain", *(f"y{i}" for i in range(len(RELUS))))})
    assert (out["plain"] < 0).any()
    for i, (words, slope) in enumerate(RELUS.items()):
        assert_matches(out[f"y{i}"], np.where(out["plain"] > 0, out["plain"], slope * out["plain"]), words)


def test_second_activation_is_not_fused_into_a_sloped_relu() -> None:
    """An activation that overwrites the top follows the ReLU inside the layer."""
    x, w = draw(2, 4, 7, 6), draw(6, 4, 3, 3)
    text = layer("num_output: 6 bias_term: false kernel_size: 3 relu: true negative_slope: -0.5")
    text += builders.layer("TanH", "second", ["out"], ["out"])
    plain = convolve(x, w, Case())
    out = run_layer(text, {"data": x}, {"conv": [w]})["out"]
    assert_matches(out, np.tanh(np.where(plain > 0, plain, -0.5 * plain)))


def test_weights_belong_to_the_convolution_before_a_sloped_relu(tmp_path: Path) -> None:
    """The layer becomes padding, convolution and ReLU; the weight files name the convolution."""
    x, w, b = draw(2, 4, 7, 6), draw(6, 4, 3, 3), draw(6)
    text = layer("num_output: 6 kernel_size: 3 relu: true negative_slope: 0.25 pad_l: 2 stride: 2")
    prototxt = write_prototxt(tmp_path, input_layers({"data": x.shape}) + text)
    weights = write_caffemodel(tmp_path, {"conv": [w, b]})
    source = caffe2tf.convert(prototxt, weights, tmp_path / "out").module.read_text(encoding="utf-8")
    assert 'name="conv-conv"' in source
    assert "LeakyReLU" in source
    plain = convolve(x, w, Case(s=(2, 2), pads=((0, 0), (2, 0)))) + b[:, None, None]
    out = caffe2tf.run(prototxt, weights, {"data": x})["out"]
    assert_matches(out, np.where(plain > 0, plain, 0.25 * plain))


def read(tmp_path: Path, parameters: str) -> Convolution:
    return Convolution.read(read_network(write_prototxt(tmp_path, layer(parameters))).layers[0])


def chain(conv: Convolution, shape: tuple[int | None, ...]) -> list[str]:
    """Return the emitted layers in the order of their calls, with their `padding`."""
    x = Value(id="x", blob="x", shape=shape, layout=Layout.channels_last(len(shape)))
    found: list[str] = []
    call = conv.emit(Context(name="conv", inputs=(x,), outputs=(x,)), x)
    while isinstance(call, Call):
        padding = dict(call.construct.kwargs).get("padding")
        found.insert(0, call.construct.target + (f" {padding}" if padding else ""))
        (call,) = call.inputs
    return found


@pytest.mark.parametrize(
    ("fields", "shape", "layers"),
    [
        ("stride: 2 pad_type: 1", (2, 4, 8, 9), ["layers.Conv2D same"]),
        ("stride: 2 pad_type: 1", (2, 4, None, 9), ["layers.Conv2D same"]),
        ("pad_r: 1 pad_b: 1 stride: 2", (2, 4, 8, 8), ["layers.Conv2D same"]),
        ("pad_l: 1 pad_t: 1 stride: 2", (2, 4, 8, 8), ["layers.ZeroPadding2D", "layers.Conv2D"]),
        ("pad_l: 2 pad_t: 2", (2, 4, None, 8), ["layers.ZeroPadding2D", "layers.Conv2D"]),
        ("pad_l: 1 pad_t: 1 pad_r: 1 pad_b: 1", (2, 4, None, 8), ["layers.Conv2D same"]),
        ("pad_l: 1 pad_t: 1 pad_r: 1 pad_b: 2", (2, 4, None, 8), ["layers.ZeroPadding2D", "layers.Conv2D"]),
        ("pad_l: 1 pad_t: 1 stride: 2 dilation: 2", (2, 4, 8, 8), ["layers.ZeroPadding2D", "Convolution"]),
        ("pad_l: 1 pad_r: 1 pad_t: 1 pad_b: 1 group: 4", (2, 4, 8, 8), ["layers.DepthwiseConv2D same"]),
        ("pad_type: 1 group: 4 stride: 2", (2, 4, 7, 8), ["layers.DepthwiseConv2D same"]),
        ("pad_type: 1 dilation: 2", (2, 4, 8, 8), ["layers.ZeroPadding2D", "layers.Conv2D"]),
        ("relu: true", (2, 4, 8, 8), ["layers.Conv2D"]),
        ("relu: true negative_slope: 0.5", (2, 4, 8, 8), ["layers.Conv2D", "layers.LeakyReLU"]),
    ],
)
def test_keras_layers_if_they_are_exact(
    tmp_path: Path, fields: str, shape: tuple[int | None, ...], layers: list[str]
) -> None:
    assert chain(read(tmp_path, f"num_output: 4 kernel_size: 3 {fields}"), shape) == layers


def test_shapes_of_unknown_extents(tmp_path: Path) -> None:
    conv = read(tmp_path, "num_output: 4 kernel_size: 3 stride: 2 pad_type: 1")
    assert conv.infer((2, 3, None, 7)) == ((2, 4, None, 4),)
    gaps = read(tmp_path, "num_output: 4 kernel_size: 3 dilation: 2 pad_type: 1")
    with pytest.raises(LayerError, match=r"pad_type 1 and dilation 2, height and width .* must be known"):
        chain(gaps, (2, 3, None, 7))


def test_padding_of_each_side_needs_channels_on_axis_1(tmp_path: Path) -> None:
    conv = read(tmp_path, "num_output: 4 kernel_size: 3 axis: 2 pad_l: 1")
    with pytest.raises(LayerUnsupportedError, match="only if the channel axis is 1, not 2"):
        chain(conv, (2, 3, 4, 6, 7))


@pytest.mark.parametrize(
    ("fields", "shape", "message"),
    [
        ("pad_l: 1 pad: 1", (2, 3, 5, 6), "give either pad or pad_l, pad_r, pad_t and pad_b, not both"),
        ("pad_l: 1 pad_w: 1", (2, 3, 5, 6), "give either pad_w or pad_l"),
        ("pad_l: 1 pad_type: 1", (2, 3, 5, 6), "give either pad_type or pad_l"),
        ("pad_type: 3", (2, 3, 5, 6), "pad_type must be 0 .* not 3"),
        ("pad_b: -1", (2, 3, 5, 6), r"negative padding is not supported: 0\+-1x0\+0"),
        ("pad_l: 1", (2, 3, 5), "pad_l, pad_r, pad_t and pad_b are for 2 spatial axes, the input has 1"),
        ("pad_type: 1", (2, 3, 5, 6, 4), "pad_type is for 2 spatial axes, the input has 3"),
        ("pad_l: 1 force_nd_im2col: true", (2, 3, 5, 6), "with force_nd_im2col"),
        ("pad_l: 1 dilation: 4", (2, 3, 5, 6), r"window \(9x9\) is larger than .* padding \(0\+0x1\+0\)"),
        ("hole: 2 dilation: 2", (2, 3, 5, 6), "give one of hole, .* and not dilation and hole"),
        ("hole_h: 2", (2, 3, 5, 6), "give one of hole, both hole_h and hole_w, or dilation, and not hole_h alone"),
        ("hole_h: 1 hole_w: 2", (2, 3, 5, 6, 4), "hole_h and hole_w are for 2 spatial axes, the input has 3"),
        ("fuse_type: FUSED_CONV_ELTWISE_RELU", (2, 3, 5, 6), "fuse_type FUSED_CONV_ELTWISE_RELU is not supported"),
    ],
)
def test_errors(fields: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer(f"num_output: 4 kernel_size: 3 {fields}"), {"data": draw(*shape)})


def test_im2col_does_not_support_padding_of_each_side() -> None:
    text = layer("kernel_size: 3 pad_l: 1", type_="Im2col")
    with pytest.raises(UnsupportedError, match="are not supported for this layer"):
        run_layer(text, {"data": draw(2, 3, 5, 6)})


@pytest.mark.parametrize("more", ["", " group: 3", " stride: 3 dilation: 2"])
def test_deconvolution_crops_each_side(more: str) -> None:
    x, group = draw(2, 3, 4, 5), 3 if "group" in more else 1
    w, b = draw(3, 6 // group, 3, 2), draw(6)
    fields = f"num_output: 6 kernel_h: 3 kernel_w: 2{more} "
    text = layer(fields, name="whole", top="whole", type_="Deconvolution")
    text += layer(fields + "pad_t: 1 pad_l: 2 pad_r: 1", name="cut", top="cut", type_="Deconvolution")
    out = run_layer(text, {"data": x}, {"whole": [w, b], "cut": [w, b]})
    assert_matches(out["cut"], out["whole"][:, :, 1:, 2:-1], tolerance=2e-6)


def test_deconvolution_cropped_on_one_side() -> None:
    """With the same padding on the other side it would be a "same" deconvolution."""
    x, w = draw(2, 3, 4, 5), draw(3, 6, 4, 4)
    fields = "num_output: 6 bias_term: false kernel_size: 4 stride: 2 "
    text = layer(fields, name="whole", top="whole", type_="Deconvolution")
    text += layer(fields + "pad_t: 1 pad_l: 1", name="cut", top="cut", type_="Deconvolution")
    out = run_layer(text, {"data": x}, {"whole": [w], "cut": [w]})
    assert_matches(out["cut"], out["whole"][:, :, 1:, 1:], tolerance=2e-6)


def test_deconvolution_does_not_support_same_padding() -> None:
    text = layer("num_output: 4 kernel_size: 3 pad_type: 1", type_="Deconvolution")
    with pytest.raises(Caffe2TFError, match="pad_type 1 is not supported for a deconvolution"):
        run_layer(text, {"data": draw(2, 3, 5, 6)}, None)
