"""DepthwiseConvolution and ConvolutionDepthwise: recordings of Caffe, plain loops, emitted layers, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from caffe2tf.diagnostics import Position
from caffe2tf.errors import Caffe2TFError, LayerError
from caffe2tf.layers.vision.depthwise import ConvolutionDepthwise, DepthwiseConvolution
from caffe2tf.parse import LayerDefinition
from caffe2tf.proto import caffe_pb2
from tests import builders
from tests.layers.emitted import calls, emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

Pair = tuple[int, int]


def extents(x: Array, k: Pair, s: Pair, p: Pair, d: Pair) -> Pair:
    """Return the number of windows along height and width; quotients are rounded towards 0, as in C++."""
    along = zip(x.shape[2:], k, s, p, d, strict=True)
    height, width = (int((n + 2 * pi - di * (ki - 1) - 1) / si) + 1 for n, ki, si, pi, di in along)
    return height, width


def depthwise(x: Array, w: Array, s: Pair, p: Pair, d: Pair) -> Array:
    """Sum over the window of each channel, in Caffe's order."""
    n, channels, height, width = x.shape
    rows, columns = extents(x, w.shape[2:], s, p, d)
    out = np.zeros((n, channels, rows, columns))
    for c in range(channels):
        for y in range(rows):
            for z in range(columns):
                for i in range(w.shape[2]):
                    for j in range(w.shape[3]):
                        at, to = y * s[0] + i * d[0] - p[0], z * s[1] + j * d[1] - p[1]
                        if 0 <= at < height and 0 <= to < width:
                            out[:, c, y, z] += x[:, c, at, to] * np.float64(w[c, 0, i, j])
    return out.astype(np.float32)


def layer(type_: str, parameters: str) -> str:
    return builders.layer(type_, "conv", ["data"], ["out"], f"convolution_param {{ {parameters} }}")


def definition(type_: str, **parameters: int | list[int]) -> LayerDefinition:
    message = caffe_pb2.LayerParameter(name="conv", type=type_, bottom=["data"], top=["out"])
    for name, value in parameters.items():
        field = getattr(message.convolution_param, name)
        if isinstance(value, list):
            field.extend(value)
        else:
            setattr(message.convolution_param, name, value)
    return LayerDefinition.of(message, where=Position("net.prototxt", line=1, column=1))


def numbers(low: int, high: int) -> st.SearchStrategy[Pair]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


CASES = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["DepthwiseConvolution", "ConvolutionDepthwise"]),
        "n": numbers(1, 8),
        "channels": st.integers(1, 5),
        "k": numbers(1, 3),
        "s": numbers(1, 3),
        "p": numbers(0, 2),
        "d": numbers(1, 3),
        "bias": st.booleans(),
        "pair": st.booleans(),
    }
)
FIXED = {"n": (7, 8), "channels": 4, "k": (3, 2), "p": (1, 2), "bias": True, "pair": True}


@pytest.mark.parametrize("case", recorded("fork_depthwise_convolution_", "fork_convolution_depthwise_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@settings(max_examples=50)
@given(c=CASES)
@example(c={**FIXED, "type": "ConvolutionDepthwise", "s": (1, 2), "d": (1, 1)})
@example(c={**FIXED, "type": "ConvolutionDepthwise", "s": (2, 2), "d": (2, 3), "pair": False})
@example(c={**FIXED, "type": "DepthwiseConvolution", "s": (1, 1), "d": (2, 3)})
def test_any_window(c: dict[str, Any]) -> None:
    rng = np.random.default_rng([c["channels"], *c["n"], *c["k"]])
    x = rng.standard_normal((2, c["channels"], *c["n"])).astype(np.float32)
    w = rng.standard_normal((c["channels"], 1, *c["k"])).astype(np.float32)
    b = rng.standard_normal(c["channels"]).astype(np.float32)
    assume(min(extents(x, c["k"], c["s"], c["p"], c["d"])) > 0)
    want = depthwise(x, w, c["s"], c["p"], c["d"]) + (b[:, None, None] if c["bias"] else 0)
    fields = []
    for name, stem, (height, width) in (
        ("kernel_size", "kernel", c["k"]),
        ("stride",) * 2 + (c["s"],),
        ("pad",) * 2 + (c["p"],),
    ):
        both = f"{stem}_h: {height} {stem}_w: {width}"
        fields.append(both if c["pair"] else f"{name}: {height} {name}: {width}")
    counts = f"num_output: {c['channels']} group: {c['channels']}"
    if c["type"] == "ConvolutionDepthwise":
        counts = "num_output: 77 group: 3"  # ignored
    text = (
        f"{counts} {' '.join(fields)} dilation: {c['d'][0]} dilation: {c['d'][1]} bias_term: {str(c['bias']).lower()}"
    )
    out = run_layer(layer(c["type"], text), {"data": x}, {"conv": [w, b][: 1 + c["bias"]]})["out"]
    assert_matches(out, want, tolerance=2e-6)


@pytest.mark.parametrize(
    ("fields", "k", "s", "p", "d"),
    [
        ("kernel_size: 3", (3, 3), (1, 1), (0, 0), (1, 1)),
        ("kernel_size: 3 kernel_h: 2", (3, 3), (1, 1), (0, 0), (1, 1)),
        ("kernel_size: 3 kernel_h: 2 kernel_w: 1", (2, 1), (1, 1), (0, 0), (1, 1)),
        ("kernel_size: 2 kernel_size: 3 kernel_size: 5 stride: 2", (2, 3), (2, 2), (0, 0), (1, 1)),
        ("kernel_size: 3 stride: 2 stride_h: 1 stride_w: 3", (3, 3), (1, 3), (0, 0), (1, 1)),
        ("kernel_size: 3 pad: 1 pad: 2 pad: 4 pad_w: 3", (3, 3), (1, 1), (1, 2), (1, 1)),
        ("kernel_size: 3 dilation: 2 dilation: 1 dilation: 4", (3, 3), (1, 1), (0, 0), (2, 1)),
    ],
)
def test_forms_of_the_parameters(fields: str, k: Pair, s: Pair, p: Pair, d: Pair, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 7, 8)).astype(np.float32)
    w = rng.standard_normal((3, 1, *k)).astype(np.float32)
    text = layer("ConvolutionDepthwise", f"{fields} bias_term: false")
    out = run_layer(text, {"data": x}, {"conv": [w]})["out"]
    assert_matches(out, depthwise(x, w, s, p, d), tolerance=2e-6)


def test_without_group_all_channels_are_convolved_together(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    w = rng.standard_normal((2, 3, 1, 1)).astype(np.float32)
    text = layer("DepthwiseConvolution", "num_output: 2 kernel_size: 1 bias_term: false")
    out = run_layer(text, {"data": x}, {"conv": [w]})["out"]
    assert_matches(out, np.einsum("oi,nihw->nohw", w[:, :, 0, 0], x), tolerance=2e-6)


def test_note_if_group_is_forgotten() -> None:
    def remarks(**parameters: int | list[int]) -> tuple[str, ...]:
        return DepthwiseConvolution.read(definition("DepthwiseConvolution", kernel_size=[3], **parameters)).remarks()

    (remark,) = remarks(num_output=6)
    assert "add group: 6" in remark
    assert remarks(num_output=6, group=6) == remarks(num_output=1) == ()


def test_emitted_depthwise_layer() -> None:
    shapes = {"data": (2, 3, 6, 7)}
    same = 'layers.DepthwiseConv2D(3, padding="same", activation="relu6", use_bias=False, name="conv")'
    relu6 = builders.layer("ReLU6", "r", ["out"], ["out"])
    for type_, counts in (
        ("DepthwiseConvolution", "num_output: 3 group: 3"),
        ("ConvolutionDepthwise", "num_output: 3"),
    ):
        text = layer(type_, f"{counts} kernel_size: 3 pad: 1 bias_term: false") + relu6
        assert same in emitted(text, shapes)
        assert calls(text, shapes) == ["DepthwiseConv2D"]


def test_only_one_activation_is_fused() -> None:
    conv = ConvolutionDepthwise.read(definition("ConvolutionDepthwise", kernel_size=[3]))
    fused = conv.with_activation("relu")
    assert fused is not None
    assert fused.activation == "relu"
    assert fused.with_activation("tanh") is None


def test_multiply_adds_and_unknown_extents() -> None:
    conv = ConvolutionDepthwise.read(definition("ConvolutionDepthwise", kernel_h=3, kernel_w=2, num_output=9))
    (out,) = conv.infer((2, 5, 7, 9))
    assert out == (2, 5, 5, 8)
    assert conv.multiply_adds([(2, 5, 7, 9)], [out]) == 2 * 5 * 8 * 5 * 3 * 2
    assert conv.infer((None, 5, None, 9)) == ((None, 5, None, 8),)
    with pytest.raises(LayerError, match="channels of a ConvolutionDepthwise's input must be known"):
        conv.infer((2, None, 7, 9))


@pytest.mark.parametrize(
    ("type_", "parameters", "shape", "message"),
    [
        ("ConvolutionDepthwise", "", (2, 3, 4, 5), "kernel_size is required"),
        ("ConvolutionDepthwise", "kernel_h: 3", (2, 3, 4, 5), "kernel_size is required"),
        ("ConvolutionDepthwise", "kernel_size: 0", (2, 3, 4, 5), "kernel_size must be 1 or more"),
        ("ConvolutionDepthwise", "kernel_size: 1 stride: 0", (2, 3, 4, 5), "stride must be 1 or more"),
        (
            "ConvolutionDepthwise",
            "kernel_size: 5",
            (2, 3, 4, 5),
            r"the window \(5x5\) is larger than the input \(4x5\)",
        ),
        ("ConvolutionDepthwise", "kernel_size: 1", (2, 3, 4), "supports an input of 4 axes .*, not 2x3x4"),
        ("DepthwiseConvolution", "kernel_size: 1", (2, 3, 4, 5), "convolution_param.num_output is required"),
        ("DepthwiseConvolution", "kernel_size: 1 num_output: 4 group: 3", (2, 3, 4, 5), "a multiple of group"),
        (
            "DepthwiseConvolution",
            "kernel_size: 1 num_output: 4 group: 4",
            (2, 6, 4, 5),
            "the input's 6 channels must be",
        ),
    ],
)
def test_errors(type_: str, parameters: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer(type_, parameters), {"data": np.ones(shape, np.float32)})


def test_several_bottoms(rng: np.random.Generator) -> None:
    x = {n: rng.standard_normal((2, 3, 4, 5)).astype(np.float32) for n in ("data", "more")}
    two = 'bottom: "data" bottom: "more" top: "out" top: "other"'
    text = layer("DepthwiseConvolution", "num_output: 3 group: 3 kernel_size: 2 bias_term: false")
    w = rng.standard_normal((3, 1, 2, 2)).astype(np.float32)
    out = run_layer(text.replace('bottom: "data" top: "out"', two), x, {"conv": [w]})
    for name, top in (("data", "out"), ("more", "other")):
        assert_matches(out[top], depthwise(x[name], w, (1, 1), (0, 0), (1, 1)), tolerance=2e-6)
    text = layer("ConvolutionDepthwise", "kernel_size: 2").replace('bottom: "data" top: "out"', two)
    with pytest.raises(Caffe2TFError, match="takes 1 bottoms, 2 given"):
        run_layer(text, x)
