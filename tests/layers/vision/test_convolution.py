"""Convolution: recordings of Caffe, random windows against plain loops, emitted layers, errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import caffe2tf
from caffe2tf.errors import Caffe2TFError, UnsupportedError
from caffe2tf.ir import Layout, Value
from caffe2tf.ir.expr import Call
from caffe2tf.layers import Context
from caffe2tf.layers.vision.convolution import Convolution
from caffe2tf.parse import read_network
from tests import builders
from tests.builders import input_layers, write_caffemodel, write_prototxt
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

Ints = tuple[int, ...]


def windows(spatial: Ints, k: Ints, s: Ints, p: Ints, d: Ints) -> Ints:
    """Return the number of windows along each axis; quotients are rounded towards 0, as in C++."""
    along = zip(spatial, k, s, p, d, strict=True)
    return tuple(int((n + 2 * pi - di * (ki - 1) - 1) / si) + 1 for n, ki, si, pi, di in along)


def convolve(x: Array, w: Array, axis: int, group: int, s: Ints, p: Ints, d: Ints) -> Array:
    """Sum over the window and the channels of the group, for each output value."""
    before, spatial, k = x.shape[:axis], x.shape[axis + 1 :], w.shape[2:]
    outs, ins = w.shape[0] // group, w.shape[1]
    y = np.zeros((*before, w.shape[0], *windows(spatial, k, s, p, d)))
    for b in np.ndindex(*before):
        for g in range(group):
            own = x[b][g * ins : (g + 1) * ins].astype(np.float64)
            kernel = w[g * outs : (g + 1) * outs]
            for place in np.ndindex(*y.shape[axis + 1 :]):
                for offset in np.ndindex(*k):
                    at = tuple(o * si + f * di - pi for o, f, si, pi, di in zip(place, offset, s, p, d, strict=True))
                    if all(0 <= a < n for a, n in zip(at, spatial, strict=True)):
                        value = kernel[(slice(None), slice(None), *offset)] @ own[(slice(None), *at)]
                        y[(*b, slice(g * outs, (g + 1) * outs), *place)] += value
    return y


def layer(parameters: str, *, bottoms: Sequence[str] = ("data",), tops: Sequence[str] = ("out",)) -> str:
    return builders.layer("Convolution", "conv", bottoms, tops, f"convolution_param {{ {parameters} }}")


def draw(*shape: int, seed: int = 8) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def repeated(name: str, values: Ints) -> str:
    return " ".join(f"{name}: {v}" for v in values)


def geometry(k: Ints, s: Ints, p: Ints, d: Ints) -> str:
    fields = (("kernel_size", k), ("stride", s), ("pad", p), ("dilation", d))
    return " ".join(repeated(name, values) for name, values in fields)


def emitted(tmp_path: Path, text: str, shapes: dict[str, Ints]) -> str:
    """Return the emitted source on one line."""
    prototxt = write_prototxt(tmp_path, input_layers(shapes) + text)
    return " ".join(caffe2tf.convert(prototxt, None, tmp_path).module.read_text(encoding="utf-8").split()).replace(
        "( ", "("
    )


@pytest.mark.parametrize("case", recorded("convolution_", "reshape_then_conv", "shared_weights"))
def test_recorded(case: str) -> None:
    check_recorded(case)


def cases(spatial: int) -> st.SearchStrategy[dict[str, Any]]:
    def some(low: int, high: int) -> st.SearchStrategy[Ints]:
        return st.tuples(*(st.integers(low, high),) * spatial)

    high = {1: 9, 2: 7, 3: 5, 4: 4}.get(spatial, 2)
    return st.fixed_dictionaries(
        {
            "n": some(1, high),
            "k": some(1, 3),
            "s": some(1, 3),
            "p": some(0, 2),
            "d": some(1, 3),
            "group": st.integers(1, 3),
            "ins": st.integers(1, 3),
            "outs": st.integers(1, 3),
            "axis": st.sampled_from((0, 1, 1, 1, 2)),
            "negative": st.booleans(),
            "bias": st.booleans(),
        }
    )


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize(
    ("n", "k", "s", "p"),
    [
        ((5, 4), (2, 3), (1, 3), (0, 0)),
        ((20, 31), (3, 30), (1, 2), (0, 0)),
        ((9, 7), (3, 5), (1, 3), (0, 0)),
        ((6, 2), (3, 3), (1, 4), (1, 1)),
        ((6, 3), (2, 3), (1, 7), (0, 0)),
        ((4, 6), (3, 2), (5, 1), (0, 1)),
        ((5, 2), (2, 1), (1, 9), (0, 1)),  # the only column is padding
        ((2, 1), (1, 2), (1, 2), (0, 0)),  # the input is too small by one column
        ((4, 5, 4), (2, 1, 3), (1, 1, 2), (0, 0, 0)),
        ((2, 6, 3), (2, 3, 3), (3, 1, 2), (0, 1, 0)),
    ],
)
def test_one_channel_and_a_stride_along_an_axis_of_one_window(n: Ints, k: Ints, s: Ints, p: Ints, axis: int) -> None:
    """With these strides TensorFlow reads foreign memory; several runs, because it may hold anything."""
    ones = (1,) * len(n)
    x, w = draw(*(3, 2)[:axis], 1, *n), draw(4, 1, *k)
    text = layer(f"num_output: 4 bias_term: false axis: {axis} {geometry(k, s, p, ones)}")
    want = convolve(x, w, axis, 1, s, p, ones)
    for _ in range(3):
        assert_matches(run_layer(text, {"data": x}, {"conv": [w]})["out"], want)


GAPS = {"n": (9, 8), "k": (3, 2), "group": 1, "ins": 3, "outs": 4, "axis": 1, "negative": False, "bias": True}


@settings(max_examples=70)
@given(c=st.sampled_from((0, 1, 1, 2, 2, 2, 3, 4)).flatmap(cases))
@example(c={**GAPS, "s": (2, 2), "p": (1, 2), "d": (4, 2)})  # stride and dilation have a common divisor
@example(c={**GAPS, "s": (2, 3), "p": (2, 0), "d": (3, 2)})  # they have none
@example(c={**GAPS, "s": (2, 1), "p": (2, 0), "d": (1, 2)})
@example(c={**GAPS, "s": (2, 2), "p": (1, 1), "d": (0, 1)})  # all values of a window at one position
@example(c={**GAPS, "s": (3, 2), "p": (0, 0), "d": (1, 1), "n": (1, 1)})  # input too small, by less than a stride
@example(c={**GAPS, "s": (2, 1), "p": (0, 1), "d": (1, 1), "ins": 1, "group": 3})
@example(c={**GAPS, "n": (3, 5, 4), "k": (4, 1, 2), "s": (3, 3, 3), "p": (0,) * 3, "d": (1,) * 3})  # not "same"
@example(c={**GAPS, "n": (3,) * 6, "k": (2,) * 6, "s": (1,) * 6, "p": (0,) * 6, "d": (1,) * 6, "outs": 1, "ins": 1})
def test_any_window(c: dict[str, Any]) -> None:
    channels, filters, axis = c["ins"] * c["group"], c["outs"] * c["group"], c["axis"]
    x = draw(*(2, 3)[:axis], channels, *c["n"])
    w, b = draw(filters, c["ins"], *c["k"]), draw(filters)
    assume(min(windows(c["n"], c["k"], c["s"], c["p"], c["d"]), default=1) > 0)
    want = convolve(x, w, axis, c["group"], c["s"], c["p"], c["d"])
    if c["bias"]:
        want += b.reshape(-1, *(1,) * len(c["n"]))
    text = (
        f"num_output: {filters} group: {c['group']} bias_term: {str(c['bias']).lower()} "
        f"axis: {axis - x.ndim if c['negative'] else axis} {geometry(c['k'], c['s'], c['p'], c['d'])}"
    )
    out = run_layer(layer(text), {"data": x}, {"conv": [w, b][: 1 + c["bias"]]})["out"]
    assert_matches(out, want, tolerance=2e-6)


@pytest.mark.parametrize(
    ("fields", "k", "s", "p"),
    [
        ("kernel_h: 3 kernel_w: 2", (3, 2), (1, 1), (0, 0)),
        ("kernel_size: 3 kernel_size: 2 stride_h: 2 stride_w: 1", (3, 2), (2, 1), (0, 0)),
        ("kernel_size: 3 pad_h: 1", (3, 3), (1, 1), (1, 0)),
        ("kernel_size: 3 pad_w: 2 stride: 2", (3, 3), (2, 2), (0, 2)),
    ],
)
def test_height_and_width(fields: str, k: Ints, s: Ints, p: Ints) -> None:
    x, w = draw(2, 3, 7, 6), draw(4, 3, *k)
    out = run_layer(layer(f"num_output: 4 bias_term: false {fields}"), {"data": x}, {"conv": [w]})["out"]
    assert_matches(out, convolve(x, w, 1, 1, s, p, (1, 1)))


@pytest.mark.parametrize("fields", ["kernel_size: 3 pad: 1 stride: 2", "kernel_size: 2 pad: 1", "kernel_size: 1"])
def test_several_bottoms_share_the_weights(fields: str) -> None:
    a, b, w, bias = draw(2, 3, 8, 6), draw(2, 3, 8, 6, seed=9), draw(4, 3, *(int(fields[13]),) * 2), draw(4)
    text = layer(f"num_output: 4 {fields}", bottoms=["a", "b"], tops=["y", "z"])
    out = run_layer(text, {"a": a, "b": b}, {"conv": [w, bias]})
    s, p = ((2, 2) if "stride" in fields else (1, 1)), ((1, 1) if "pad" in fields else (0, 0))
    for name, x in (("y", a), ("z", b)):
        assert_matches(out[name], convolve(x, w, 1, 1, s, p, (1, 1)) + bias[:, None, None], name)


def test_activation_is_fused() -> None:
    x, w = draw(2, 4, 7, 6), draw(6, 2, 3, 3)
    relu = builders.layer("ReLU", "relu", ["out"], ["out"])
    for dilation in (1, 3):  # a Keras layer, and a runtime layer
        text = f"num_output: 6 group: 2 bias_term: false kernel_size: 3 pad: 3 stride: 2 dilation: {dilation}"
        out = run_layer(layer(text) + relu, {"data": x}, {"conv": [w]})["out"]
        assert_matches(out, np.maximum(convolve(x, w, 1, 2, (2, 2), (3, 3), (dilation,) * 2), 0))


@pytest.mark.parametrize(
    ("fields", "shape", "want"),
    [
        ("kernel_size: 3 pad: 1", (2, 4, 8, 9), 'layers.Conv2D(6, 3, padding="same", name="conv")'),
        ("kernel_size: 3 stride: 2 pad: 1", (2, 4, 8, 9), "layers.ZeroPadding2D(1,"),
        ("kernel_size: 3 stride: 2 pad: 1", (2, 4, 9, 7), 'layers.Conv2D(6, 3, strides=2, padding="same"'),
        ("kernel_h: 3 kernel_w: 1 pad_h: 1", (2, 4, 8, 9), 'layers.Conv2D(6, (3, 1), padding="same"'),
        ("kernel_size: 5 pad_h: 2 pad_w: 0", (2, 4, 8, 9), "layers.ZeroPadding2D((2, 0),"),
        ("kernel_size: 1 group: 2 bias_term: false", (2, 4, 8, 9), "layers.Conv2D(6, 1, groups=2, use_bias=False"),
        ("kernel_size: 1 stride: 2 dilation: 3", (2, 4, 8, 9), "layers.Conv2D(6, 1, strides=2, name"),
        ("kernel_size: 3", (2, 4, 8), "layers.Conv1D(6, 3, name"),
        ("kernel_size: 3 group: 2", (2, 4, 8, 5, 6), "layers.Conv3D(6, 3, groups=2, name"),
        ("kernel_size: 3 group: 3", (2, 3, 8, 9), "layers.DepthwiseConv2D(3, depth_multiplier=2, name"),
        ("kernel_size: 3 group: 6", (2, 6, 8), "layers.DepthwiseConv1D(3, name"),
        (
            "kernel_size: 3 group: 6 stride: 1 stride: 2",
            (2, 6, 8, 9),
            "= Convolution(6, (3, 3), strides=(1, 2)",
        ),
        ("kernel_size: 3 stride: 2 dilation: 2", (2, 6, 8, 9), "= Convolution(6, (3, 3), strides=(2, 2)"),
        ("", (2, 4), "layers.Dense(6, name"),
        ("axis: -1", (2, 3, 4), "layers.Dense(6, name"),
        ("kernel_size: 2 axis: 2", (2, 3, 4, 5, 6), "= Convolution(6, (2, 2), name"),
    ],
)
def test_keras_layers_if_they_are_exact(tmp_path: Path, fields: str, shape: Ints, want: str) -> None:
    assert want in emitted(tmp_path, layer(f"num_output: 6 {fields}"), {"data": shape})


def value(*shape: int | None) -> Value:
    return Value(id="data", blob="data", shape=shape, layout=Layout.channels_last(len(shape)))


def read(tmp_path: Path, parameters: str) -> Convolution:
    return Convolution.read(read_network(write_prototxt(tmp_path, layer(parameters))).layers[-1])


def test_extents_known_only_at_run_time(tmp_path: Path) -> None:
    x = value(None, 3, None, None)
    for parameters, padding in (("kernel_size: 3 pad: 1", ("padding", "same")), ("kernel_size: 4 pad: 1", None)):
        conv = read(tmp_path, f"num_output: 4 {parameters}")
        assert conv.infer(x.shape) == ((None, 4, None, None),)
        call = conv.emit(Context(name="conv", inputs=(x,), outputs=()), x)
        assert isinstance(call, Call)
        assert (padding in call.construct.kwargs) == (call.inputs == (x,)) == (padding is not None)


def test_equal_definitions_are_equal_layers(tmp_path: Path) -> None:
    first = read(tmp_path, "num_output: 4 kernel_size: 3")
    assert first == read(tmp_path, "kernel_size: 3 num_output: 4")
    assert first != read(tmp_path, "kernel_size: 3 num_output: 4 dilation: 2")


@pytest.mark.parametrize(
    ("fields", "shape", "message"),
    [
        ("kernel_size: 3", (2, 4, 8, 9), "convolution_param.num_output is required"),
        ("num_output: 0 kernel_size: 3", (2, 4, 8, 9), "num_output must be 1 or more, not 0"),
        ("num_output: 4 kernel_size: 3 group: 0", (2, 4, 8, 9), "group must be 1 or more, not 0"),
        ("num_output: 4 kernel_size: 3 group: 3", (2, 3, 8, 9), r"num_output \(4\) must be a multiple of group \(3\)"),
        ("num_output: 6 kernel_size: 3 group: 3", (2, 4, 8, 9), "4 channels must be a multiple of group"),
        ("num_output: 4", (2, 4, 8, 9), "kernel_size is required: once, or once for each of the 2 spatial axes"),
        ("num_output: 4 kernel_size: 0", (2, 4, 8, 9), "kernel_size must be 1 or more along every axis, not 0"),
        ("num_output: 4 kernel_h: 3", (2, 4, 8, 9), r"kernel_size must be 1 or more along every axis, not \(3, 0\)"),
        ("num_output: 4 kernel_h: 3 kernel_w: 3", (2, 4, 8), "kernel_h and kernel_w are for 2 spatial axes"),
        ("num_output: 4 kernel_h: 3 kernel_w: 3 kernel_size: 3", (2, 4, 8, 9), "either kernel_size or kernel_h"),
        ("num_output: 4 kernel_size: 3 stride: 0", (2, 4, 8, 9), "stride must be 1 or more"),
        ("num_output: 4 kernel_size: 3 stride_h: 2", (2, 4, 8, 9), r"stride must be 1 or more .* not \(2, 0\)"),
        ("num_output: 4 kernel_size: 3 stride: 1 stride_w: 2", (2, 4, 8, 9), "either stride or stride_h and stride_w"),
        ("num_output: 4 kernel_size: 3 pad: 1 pad_w: 2", (2, 4, 8, 9), "either pad or pad_h and pad_w"),
        ("num_output: 4 kernel_size: 3 pad_w: 2", (2, 4, 8, 9, 7), "pad_h and pad_w are for 2 spatial axes"),
        ("num_output: 4 kernel_size: 3 pad: 1 pad: 1", (2, 4, 8, 9, 7), "pad must be given once"),
        ("num_output: 4 kernel_size: 3 stride: 1 stride: 1", (2, 4, 8, 9, 7), "stride must be given once"),
        ("num_output: 4 kernel_size: 3 dilation: 1 dilation: 1 dilation: 1", (2, 4, 8, 9), "dilation must be given"),
        ("num_output: 4 kernel_size: 3 axis: 4", (2, 4, 8, 9), "convolution_param.axis: axis 4 is out of range"),
        ("num_output: 4 kernel_size: 9", (2, 4, 8, 9), r"window \(9x9\) is larger than the input \(8x9\)"),
        ("num_output: 4 kernel_size: 3 stride: 2 dilation: 9", (2, 4, 8, 9), r"window \(19x19\) is larger"),
    ],
)
def test_errors(fields: str, shape: Ints, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer(fields), {"data": draw(*shape)})


def test_bottoms_must_have_the_same_shape() -> None:
    text = layer("num_output: 4 kernel_size: 3", bottoms=["a", "b"], tops=["y", "z"])
    with pytest.raises(Caffe2TFError, match="all bottoms must have the same shape, not 2x3x8x6 and 2x3x8x7"):
        run_layer(text, {"a": draw(2, 3, 8, 6), "b": draw(2, 3, 8, 7)})


def test_more_axes_than_tensorflow_slices() -> None:
    with pytest.raises(UnsupportedError, match="7 spatial axes"):
        run_layer(layer("num_output: 4 kernel_size: 1"), {"data": draw(2, 3, *(2,) * 7)})


def test_weights_are_views(tmp_path: Path) -> None:
    text = layer("num_output: 6 group: 3 kernel_size: 3")
    prototxt = write_prototxt(tmp_path, input_layers({"data": (2, 3, 8, 9)}) + text)
    weights = write_caffemodel(tmp_path, {"conv": [draw(6, 1, 3, 3), draw(6)]})
    from caffe2tf.load import load_graph
    from caffe2tf.parse.weights import open_weights

    with open_weights(weights) as source:
        (node,) = (n for n in load_graph(read_network(prototxt), source).nodes if n.blobs)
        context = Context(name="conv", inputs=(value(2, 3, 8, 9),), outputs=())
        converted = node.layer.convert(node.blobs, context)
        assert [(name, w.shape) for name, w in converted.items()] == [("kernel", (3, 3, 3, 2)), ("bias", (6,))]
        for weight, blob in zip(converted.values(), node.blobs, strict=True):
            assert np.shares_memory(weight.parts[0], blob.array)
            assert weight.memory == (blob.memory,)
