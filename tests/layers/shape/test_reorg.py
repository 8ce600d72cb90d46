"""Reorg: a recording of a fork of Caffe, plain loops, the emitted layers, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.shape.reorg import Reorg
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

CONV = layer(
    "Convolution", "c", ["image"], tops=["data"], parameters="convolution_param { num_output: 8 kernel_size: 1 }"
)


def reorg_layer(parameters: str = "stride: 2", top: str = "out") -> str:
    return layer("Reorg", "out", ["data"], [top], f"reorg_param {{ {parameters} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng([len(shape), *shape]).standard_normal(shape).astype(np.float32)


def reorg(x: Array, stride: int, *, reverse: bool = False) -> Array:
    """Compute the top value by value, by positions in memory."""
    n, c, h, w = x.shape
    fewer = c // stride**2
    out, flat = np.empty(x.size, np.float32), x.reshape(-1)
    for position in range(x.size):
        item, channel, row, column = np.unravel_index(position, x.shape)
        offset, kept = divmod(int(channel), fewer)
        wide = column * stride + offset % stride, row * stride + offset // stride
        other = wide[0] + w * stride * (wide[1] + h * stride * (kept + fewer * item))
        if reverse:
            out[other] = flat[position]
        else:
            out[position] = flat[other]
    if reverse:
        return out.reshape(n, fewer, h * stride, w * stride)
    return out.reshape(n, c * stride**2, h // stride, w // stride)


@pytest.mark.parametrize("case", recorded("fork_reorg"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("stride", "shape"),
    [(2, (2, 8, 4, 6)), (2, (2, 8, 6, 10)), (3, (2, 9, 9, 6)), (3, (1, 18, 6, 3)), (1, (2, 3, 4, 5))],
)
@pytest.mark.parametrize("image", [False, True])
def test_loops(stride: int, shape: tuple[int, ...], reverse: bool, image: bool) -> None:
    x = draw(*shape)
    relu = layer("ReLU", "r", ["out"], parameters="relu_param { negative_slope: 1 }")
    dims = " ".join(f"dim: {d}" for d in shape)
    plain = layer("Reshape", "f", ["flat"], ["data"], f"reshape_param {{ shape {{ {dims} }} }}")
    text = reorg_layer(f"stride: {stride} reverse: {str(reverse).lower()}") + relu
    fed = {"data": x} if image else {"flat": x.reshape(shape[0], -1)}
    have = run_layer(text if image else plain + text, fed)["r"]
    assert_matches(have, reorg(x, stride, reverse=reverse))


def test_no_transposition_is_emitted() -> None:
    assert calls(CONV + reorg_layer(), {"image": (2, 5, 4, 6)}) == ["Conv2D", "Reorg"]
    assert calls(CONV + reorg_layer("stride: 2 reverse: true"), {"image": (2, 5, 4, 6)}) == ["Conv2D", "DepthToSpace"]
    assert calls(CONV + reorg_layer("stride: 1"), {"image": (2, 5, 4, 6)}) == ["Conv2D"]


def test_python_layer_has_a_stride_of_2() -> None:
    x = draw(2, 8, 4, 6)
    text = layer("Python", "out", ["data"], parameters='python_param { module: "yolov2" layer: "darknet_reorg" }')
    assert_matches(run_layer(text, {"data": x})["out"], reorg(x, 2))


def test_batch_is_kept() -> None:
    for shape in ((3, 8, 4, 6), (3, 8, 6, 10)):
        x = draw(*shape)
        (have,) = reloaded(built(reorg_layer(), {"data": (2, *shape[1:])}), [x.transpose(0, 2, 3, 1)])
        assert_matches(have.transpose(0, 3, 1, 2), reorg(x, 2))


def test_unknown_extents() -> None:
    assert Reorg(stride=2).infer((2, 8, None, 6)) == ((2, 32, None, 3),)
    assert Reorg(stride=2, reverse=True).infer((2, None, 5, 6)) == ((2, None, 10, 12),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (reorg_layer(""), "reorg_param.stride is required"),
        (reorg_layer("stride: 0"), "reorg_param.stride must be 1 or more, not 0"),
        (
            reorg_layer("stride: 3"),
            r"extent of axis 1 of the bottom \(2x8x4x6\) must be a multiple of 9 for reorg_param.stride 3",
        ),
        (
            reorg_layer("stride: 4").replace('"data"', '"deep"'),
            r"extent of axis 3 of the bottom \(2x16x4x6\) must be a multiple of 4",
        ),
        (
            reorg_layer("stride: 3 reverse: true"),
            r"the number of channels \(8, axis 1\) must be a multiple of 9, as reorg_param.stride is 3",
        ),
        (reorg_layer().replace('"data"', '"flat"'), "only bottoms of 4 axes are supported, not 2x8"),
        (reorg_layer(top="data"), "not computed in place"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 8, 4, 6), "deep": draw(2, 16, 4, 6), "flat": draw(2, 8)})
