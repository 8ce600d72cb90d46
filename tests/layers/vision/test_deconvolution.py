"""Deconvolution: recordings of Caffe, random windows against plain loops, emitted layers, errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir import Layout, Value
from caffe2tf.layers.vision.deconvolution import Deconvolution
from caffe2tf.parse import read_network
from tests import builders
from tests.builders import input_layers, write_caffemodel, write_prototxt
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

Ints = tuple[int, ...]


def extents(spatial: Ints, k: Ints, s: Ints, p: Ints, d: Ints) -> Ints:
    """Return the output extents."""
    return tuple(
        si * (n - 1) + di * (ki - 1) + 1 - 2 * pi for n, ki, si, pi, di in zip(spatial, k, s, p, d, strict=True)
    )


def deconvolve(x: Array, w: Array, axis: int, group: int, s: Ints, p: Ints, d: Ints) -> Array:
    """Add each input value, times the weights of the window and of the channels of its group, to the output."""
    before, spatial, k = x.shape[:axis], x.shape[axis + 1 :], w.shape[2:]
    outs, ins = w.shape[1], w.shape[0] // group
    y = np.zeros((*before, group * outs, *extents(spatial, k, s, p, d)))
    for b in np.ndindex(*before):
        for g in range(group):
            own = x[b][g * ins : (g + 1) * ins].astype(np.float64)
            kernel = w[g * ins : (g + 1) * ins]
            for place in np.ndindex(*spatial):
                for offset in np.ndindex(*k):
                    at = tuple(o * si + f * di - pi for o, f, si, pi, di in zip(place, offset, s, p, d, strict=True))
                    if all(0 <= a < n for a, n in zip(at, y.shape[axis + 1 :], strict=True)):
                        value = own[(slice(None), *place)] @ kernel[(slice(None), slice(None), *offset)]
                        y[(*b, slice(g * outs, (g + 1) * outs), *at)] += value
    return y


def layer(parameters: str, *, bottoms: Sequence[str] = ("data",), tops: Sequence[str] = ("out",)) -> str:
    return builders.layer("Deconvolution", "deconv", bottoms, tops, f"convolution_param {{ {parameters} }}")


def draw(*shape: int, seed: int = 8) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def geometry(k: Ints, s: Ints, p: Ints, d: Ints) -> str:
    fields = (("kernel_size", k), ("stride", s), ("pad", p), ("dilation", d))
    return " ".join(f"{name}: {v}" for name, values in fields for v in values)


def emitted(tmp_path: Path, text: str, shapes: dict[str, Ints]) -> str:
    """Return the emitted source on one line."""
    prototxt = write_prototxt(tmp_path, input_layers(shapes) + text)
    return " ".join(caffe2tf.convert(prototxt, None, tmp_path).module.read_text(encoding="utf-8").split()).replace(
        "( ", "("
    )


@pytest.mark.parametrize("case", recorded("deconvolution_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


def cases(spatial: int) -> st.SearchStrategy[dict[str, Any]]:
    def some(low: int, high: int) -> st.SearchStrategy[Ints]:
        return st.tuples(*(st.integers(low, high),) * spatial)

    return st.fixed_dictionaries(
        {
            "n": some(1, {1: 7, 2: 5, 3: 3}.get(spatial, 2)),
            "k": some(1, 4 if spatial < 3 else 3),
            "s": some(1, 3),
            "p": some(0, 2),
            "d": st.one_of(st.just((1,) * spatial), some(1, 3)),
            "group": st.integers(1, 3),
            "ins": st.integers(1, 3),
            "outs": st.integers(1, 3),
            "axis": st.sampled_from((0, 1, 1, 1, 2)),
            "negative": st.booleans(),
            "bias": st.booleans(),
        }
    )


GAPS = {"n": (3, 4), "k": (3, 2), "group": 1, "ins": 3, "outs": 4, "axis": 1, "negative": False, "bias": True}


@settings(max_examples=70)
@given(c=st.sampled_from((0, 1, 1, 2, 2, 2, 3, 4)).flatmap(cases))
@example(c={**GAPS, "s": (2, 2), "p": (1, 2), "d": (4, 2)})  # stride and dilation have a common divisor
@example(c={**GAPS, "s": (2, 3), "p": (2, 0), "d": (3, 2)})  # they have none
@example(c={**GAPS, "s": (2, 2), "p": (0, 1), "d": (0, 1)})  # all values of a window at one position
@example(c={**GAPS, "s": (4, 2), "p": (0, 1), "d": (1, 1)})  # rows outside all windows
@example(c={**GAPS, "s": (4, 3), "p": (1, 0), "d": (1, 1), "group": 3, "ins": 1, "outs": 2})
@example(c={**GAPS, "s": (2, 1), "p": (1, 1), "d": (1, 1), "group": 3, "ins": 2, "outs": 1})
@example(c={**GAPS, "n": (2,) * 5, "k": (2,) * 5, "s": (2,) * 5, "p": (1,) * 5, "d": (1,) * 5, "outs": 1, "ins": 1})
def test_any_window(c: dict[str, Any]) -> None:
    channels, filters, axis = c["ins"] * c["group"], c["outs"] * c["group"], c["axis"]
    x = draw(*(2, 3)[:axis], channels, *c["n"])
    w, b = draw(channels, c["outs"], *c["k"]), draw(filters)
    assume(min(extents(c["n"], c["k"], c["s"], c["p"], c["d"]), default=1) > 0)
    want = deconvolve(x, w, axis, c["group"], c["s"], c["p"], c["d"])
    if c["bias"]:
        want += b.reshape(-1, *(1,) * len(c["n"]))
    text = (
        f"num_output: {filters} group: {c['group']} bias_term: {str(c['bias']).lower()} "
        f"axis: {axis - x.ndim if c['negative'] else axis} {geometry(c['k'], c['s'], c['p'], c['d'])}"
    )
    out = run_layer(layer(text), {"data": x}, {"deconv": [w, b][: 1 + c["bias"]]})["out"]
    assert_matches(out, want, tolerance=2e-6)


@pytest.mark.parametrize("parameters", ["kernel_size: 3 stride: 2 pad: 1", "kernel_size: 4 stride: 2 pad: 1"])
def test_several_bottoms_share_the_weights(parameters: str) -> None:
    a, b, bias = draw(2, 3, 4, 5), draw(2, 3, 4, 5, seed=9), draw(4)
    w = draw(3, 4, *(int(parameters[13]),) * 2)
    text = layer(f"num_output: 4 {parameters}", bottoms=["a", "b"], tops=["y", "z"])
    out = run_layer(text, {"a": a, "b": b}, {"deconv": [w, bias]})
    for name, x in (("y", a), ("z", b)):
        assert_matches(out[name], deconvolve(x, w, 1, 1, (2, 2), (1, 1), (1, 1)) + bias[:, None, None], name)


@pytest.mark.parametrize("group", [1, 2])
def test_activation_is_fused(group: int) -> None:
    x, w = draw(2, 4, 5, 6), draw(4, 6 // group, 3, 3)
    relu = builders.layer("ReLU", "relu", ["out"], ["out"])
    text = f"num_output: 6 group: {group} bias_term: false kernel_size: 3 pad: 1 stride: 2"
    out = run_layer(layer(text) + relu, {"data": x}, {"deconv": [w]})["out"]
    assert_matches(out, np.maximum(deconvolve(x, w, 1, group, (2, 2), (1, 1), (1, 1)), 0))


def test_upsampling_without_blobs_in_the_weight_file(tmp_path: Path) -> None:
    """The weights of the deconvolution come from its bilinear filler, those of the convolution from the file."""
    conv = "num_output: 3 kernel_size: 1 bias_term: false"
    up = 'num_output: 3 group: 3 kernel_size: 4 stride: 2 pad: 1 bias_term: false weight_filler { type: "bilinear" }'
    text = builders.layer("Convolution", "conv", ["data"], parameters=f"convolution_param {{ {conv} }}")
    text += builders.layer("Deconvolution", "up", ["conv"], parameters=f"convolution_param {{ {up} }}")
    x = draw(2, 3, 5, 4)
    prototxt = write_prototxt(tmp_path, input_layers({"data": x.shape}) + text)
    weights = write_caffemodel(tmp_path, {"conv": [np.eye(3).reshape(3, 3, 1, 1)]})
    ramp = np.array([0.25, 0.75, 0.75, 0.25], np.float32)
    w = np.broadcast_to(np.outer(ramp, ramp), (3, 1, 4, 4))
    want = deconvolve(x, w, 1, 3, (2, 2), (1, 1), (1, 1))
    assert_matches(caffe2tf.run(prototxt, weights, {"data": x})["up"], want)


@pytest.mark.parametrize(
    ("fields", "shape", "want"),
    [
        ("kernel_size: 4 stride: 2 pad: 1", (2, 4, 3, 5), 'layers.Conv2DTranspose(6, 4, strides=2, padding="same"'),
        ("kernel_size: 3 pad: 1", (2, 4, 3, 5), 'layers.Conv2DTranspose(6, 3, padding="same", name="deconv")'),
        ("kernel_size: 3 stride: 2 pad: 1", (2, 4, 3, 5), 'layers.Cropping2D(1, name="deconv")'),
        ("kernel_size: 4 stride: 2 pad_h: 1", (2, 4, 3, 5), "layers.Cropping2D((1, 0), name"),
        ("kernel_size: 2 stride: 2", (2, 4, 3, 5), "layers.Conv2DTranspose(6, 2, strides=2, name"),
        ("kernel_size: 2 stride: 3", (2, 4, 3, 5), "layers.Cropping2D(((0, 1), (0, 1)), name"),
        ("kernel_size: 4 stride: 2 pad: 1", (2, 4, 5), 'layers.Conv1DTranspose(6, 4, strides=2, padding="same"'),
        ("kernel_size: 4 stride: 2", (2, 4, 3, 5, 2), "layers.Conv3DTranspose(6, 4, strides=2, name"),
        ("kernel_size: 2 group: 2 bias_term: false", (2, 4, 3, 5), "= Deconvolution(6, (2, 2), groups=2, use_bias=F"),
        ("kernel_size: 3 dilation: 2", (2, 4, 3, 5), "= Deconvolution(6, (3, 3), dilation_rate=(2, 2)"),
        ("axis: 2", (2, 4, 3), "layers.Dense(6, name"),
    ],
)
def test_keras_layers_if_they_are_exact(tmp_path: Path, fields: str, shape: Ints, want: str) -> None:
    source = emitted(tmp_path, layer(f"num_output: 6 {fields}"), {"data": shape})
    assert want in source


def test_extents_known_only_at_run_time(tmp_path: Path) -> None:
    prototxt = write_prototxt(tmp_path, layer("num_output: 4 kernel_size: 4 stride: 2 pad: 1"))
    deconv = Deconvolution.read(read_network(prototxt).layers[-1])
    assert deconv.infer((None, 3, None, 5)) == ((None, 4, None, 10),)
    x = Value(id="x", blob="x", shape=(None, 3, None, 5), layout=Layout.plain(4))
    assert deconv.arrange((x,), (x,)).inputs == (Layout.channels_last(4),)


@pytest.mark.parametrize(
    ("fields", "shape", "message"),
    [
        ("kernel_size: 3", (2, 4, 8, 9), "convolution_param.num_output is required"),
        ("num_output: 0 kernel_size: 3", (2, 4, 8, 9), "num_output must be 1 or more, not 0"),
        ("num_output: 4 kernel_size: 3 group: 3", (2, 3, 8, 9), r"num_output \(4\) must be a multiple of group \(3\)"),
        ("num_output: 6 kernel_size: 3 group: 3", (2, 4, 8, 9), "4 channels must be a multiple of group"),
        ("num_output: 4 kernel_h: 3", (2, 4, 8, 9), r"kernel_size must be 1 or more along every axis, not \(3, 0\)"),
        ("num_output: 4 kernel_size: 3 axis: -5", (2, 4, 8, 9), "convolution_param.axis: axis -5 is out of range"),
        ("num_output: 4 kernel_size: 3 pad: 2", (2, 4, 2, 5), r"padding \(2x2\) leaves nothing .* is 0 and 3"),
    ],
)
def test_errors(fields: str, shape: Ints, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer(fields), {"data": draw(*shape)})
