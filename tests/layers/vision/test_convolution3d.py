"""Convolution3D: plain loops over (N, C, L, H, W), both parameter blocks, emitted layers, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from tests import builders
from tests.builders import input_layers, write_caffemodel, write_prototxt
from tests.layers.oracle import Array, assert_matches, run_layer

Ints = tuple[int, ...]


def draw(*shape: int, seed: int = 3) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def convolve(x: Array, w: Array, s: Ints, p: Ints) -> Array:
    """Sum over the window and all channels, for each position; quotients are rounded towards 0, as in C++."""
    k = w.shape[2:]
    out = [int((n + 2 * pi - ki) / si) + 1 for n, ki, si, pi in zip(x.shape[2:], k, s, p, strict=True)]
    y = np.zeros((x.shape[0], w.shape[0], *out))
    for place in np.ndindex(*out):
        for offset in np.ndindex(*k):
            at = tuple(o * si + f - pi for o, f, si, pi in zip(place, offset, s, p, strict=True))
            if all(0 <= a < n for a, n in zip(at, x.shape[2:], strict=True)):
                kernel = w[(slice(None), slice(None), *offset)].astype(np.float64)
                y[(slice(None), slice(None), *place)] += x[(slice(None), slice(None), *at)] @ kernel.T
    return y.astype(np.float32)


def layer(parameters: str, name: str = "conv", *, block: str = "convolution3d_param") -> str:
    return builders.layer("Convolution3D", name, ["data"], parameters=f"{block} {{ {parameters} }}")


def fields(num_output: int, k: Ints, s: Ints, p: Ints) -> str:
    return (
        f"num_output: {num_output} kernel_depth: {k[0]} kernel_size: {k[1]} temporal_stride: {s[0]} stride: {s[1]} "
        f"temporal_pad: {p[0]} pad: {p[1]}"
    )


@pytest.mark.parametrize("seed", range(4))
def test_any_window(seed: int) -> None:
    rng = np.random.default_rng(seed)
    extent = tuple(int(v) for v in rng.integers(3, 7, 3))
    cases: list[tuple[Ints, Ints, Ints]] = []
    while len(cases) < 6:
        (kd, k), (sd, s), (pd, p) = ((int(a), int(b)) for a, b in rng.integers((1, 1, 0), (4, 4, 3), (2, 3)).T)
        case = (kd, k, k), (sd, s, s), (pd, p, p)
        if all(int((n + 2 * c - a) / b) + 1 > 0 for n, a, b, c in zip(extent, *case, strict=True)):
            cases.append(case)
    x, b = draw(2, 3, *extent, seed=seed), draw(1, 1, 1, 1, 5)
    weights = {f"y{i}": [draw(5, 3, *k, seed=i), b] for i, (k, _, _) in enumerate(cases)}
    text = "".join(layer(fields(5, *case), f"y{i}") for i, case in enumerate(cases))
    out = run_layer(text, {"data": x}, weights)
    for i, drawn in enumerate(cases):
        want = convolve(x, weights[f"y{i}"][0], *drawn[1:]) + b.reshape(-1, 1, 1, 1)
        assert_matches(out[f"y{i}"], want, str(drawn), tolerance=2e-6)


def test_groups_have_no_effect() -> None:
    """Every output channel depends on all input channels: `filter_group` saves memory, and `group` is ignored."""
    x, w = draw(2, 4, 3, 5, 6), draw(6, 4, 2, 3, 3)
    words = "num_output: 6 bias_term: false kernel_size: 3 kernel_depth: 2 filter_group: 3 group: 2"
    assert_matches(run_layer(layer(words), {"data": x}, {"conv": [w]})["conv"], convolve(x, w, (1,) * 3, (0,) * 3))


def test_defaults() -> None:
    x, w, b = draw(2, 3, 4, 5, 6), draw(5, 3, 2, 3, 3), draw(1, 1, 1, 1, 5)
    out = run_layer(layer("num_output: 5 kernel_size: 3 kernel_depth: 2"), {"data": x}, {"conv": [w, b]})["conv"]
    assert_matches(out, convolve(x, w, (1,) * 3, (0,) * 3) + b.reshape(-1, 1, 1, 1))


def test_definition_of_c3d_1_0(tmp_path: Path) -> None:
    """A convolution, a ReLU and a pooling as written in 2014."""
    x, w, b = draw(2, 3, 4, 6, 7), draw(5, 3, 3, 3, 3), draw(1, 1, 1, 1, 5)
    text = """layers { name: "conv1a" type: CONVOLUTION3D bottom: "data" top: "conv1a" blobs_lr: 1 blobs_lr: 2
  convolution_param { num_output: 5 kernel_size: 3 kernel_depth: 3 pad: 1 temporal_pad: 1 stride: 2 } }
layers { name: "relu1a" type: RELU bottom: "conv1a" top: "conv1a" }
layers { name: "pool1" type: POOLING3D bottom: "conv1a" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 kernel_depth: 2 stride: 2 temporal_stride: 1 } }"""
    dims = " ".join(f"dim: {n}" for n in x.shape)
    prototxt = write_prototxt(tmp_path, f'input: "data" input_shape {{ {dims} }}\n{text}')
    weights = write_caffemodel(tmp_path, {"conv1a": [w, b]})
    out = caffe2tf.run(prototxt, weights, {"data": x})
    conv = np.maximum(convolve(x, w, (1, 2, 2), (1, 1, 1)) + b.reshape(-1, 1, 1, 1), 0)
    assert_matches(out["conv1a"], conv)
    assert conv.shape == (2, 5, 4, 3, 4)
    rows = np.maximum(conv[:, :, :3], conv[:, :, 1:])  # 3 windows of 2 along the 4 time steps
    top = np.maximum.reduceat(np.maximum.reduceat(rows, [0, 2], axis=3), [0, 2], axis=4)
    assert_matches(out["pool1"], top)


def test_keras_layer(tmp_path: Path) -> None:
    text = layer("num_output: 5 kernel_size: 3 kernel_depth: 2 pad: 1 temporal_stride: 2")
    prototxt = write_prototxt(tmp_path, input_layers({"data": (2, 3, 4, 5, 6)}) + text)
    source = caffe2tf.convert(prototxt, None, tmp_path / "out").module.read_text(encoding="utf-8")
    assert "layers.Conv3D(5, (2, 3, 3), strides=(2, 1, 1)" in source
    assert "layers.ZeroPadding3D((0, 1, 1)" in source


GOOD = "num_output: 4 kernel_size: 3 kernel_depth: 2"


@pytest.mark.parametrize(
    ("block", "words", "shape", "message"),
    [
        (
            "convolution3d_param",
            "kernel_size: 3 kernel_depth: 2",
            (2, 3, 4, 5, 6),
            "convolution3d_param.num_output is required",
        ),
        (
            "convolution3d_param",
            "num_output: 4 kernel_size: 3",
            (2, 3, 4, 5, 6),
            "convolution3d_param.kernel_depth is required",
        ),
        (
            "convolution_param",
            "num_output: 4 kernel_depth: 3",
            (2, 3, 4, 5, 6),
            "convolution_param.kernel_size is required",
        ),
        (
            "convolution_param",
            "num_output: 4 kernel_size: 0 kernel_depth: 3",
            (2, 3, 4, 5, 6),
            "kernel_size must be 1 or more, not 0",
        ),
        ("convolution3d_param", f"{GOOD} stride: 0", (2, 3, 4, 5, 6), "stride must be 1 or more, not 0"),
        ("convolution3d_param", f"{GOOD} temporal_stride: 0", (2, 3, 4, 5, 6), "temporal_stride must be 1 or more"),
        (
            "convolution3d_param",
            f"{GOOD} filter_group: 3",
            (2, 3, 4, 5, 6),
            r"\(4\) must be a multiple of filter_group \(3\)",
        ),
        (
            "convolution_param",
            f"{GOOD} kernel_size: 2",
            (2, 3, 4, 5, 6),
            "kernel_size of a Convolution3D must be given once, not 2 times",
        ),
        (
            "convolution_param",
            f"{GOOD} dilation: 2",
            (2, 3, 4, 5, 6),
            "convolution_param of a Convolution3D has no dilation",
        ),
        ("convolution3d_param", GOOD, (2, 3, 5, 6), r"an input of 5 axes \(N, C, L, H, W\), not 4"),
        ("convolution3d_param", GOOD, (2, 3, 1, 5, 6), r"window \(2x3x3\) is larger than the input \(1x5x6\)"),
    ],
)
def test_errors(block: str, words: str, shape: Ints, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(layer(words, block=block), {"data": draw(*shape)})


def test_the_bias_has_five_axes() -> None:
    with pytest.raises(Caffe2TFError, match="bias is 1x1x1x1x4 in the network, 4 in the file"):
        run_layer(layer(GOOD), {"data": draw(2, 3, 4, 5, 6)}, {"conv": [draw(4, 3, 2, 3, 3), draw(4)]})
