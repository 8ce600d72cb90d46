"""Reorg: a recording of a fork of Caffe, its loops written out, what is emitted, every error."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.shape.reorg import Reorg
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

CONV = (
    'layer { name: "c" type: "Convolution" bottom: "image" top: "data" '
    "convolution_param { num_output: 8 kernel_size: 1 } }"
)


def layer(parameters: str = "stride: 2", top: str = "out") -> str:
    return f'layer {{ name: "out" type: "Reorg" bottom: "data" top: "{top}" reorg_param {{ {parameters} }} }}'


def draw(*shape: int) -> Array:
    return np.random.default_rng([len(shape), *shape]).standard_normal(shape).astype(np.float32)


def reorg(x: Array, stride: int, *, reverse: bool = False) -> Array:
    """Value by value, by places in memory."""
    n, c, h, w = x.shape
    few = c // stride**2
    out, flat = np.empty(x.size, np.float32), x.reshape(-1)
    for place in range(x.size):
        item, channel, row, column = np.unravel_index(place, x.shape)
        offset, kept = divmod(int(channel), few)
        wide = column * stride + offset % stride, row * stride + offset // stride
        other = wide[0] + w * stride * (wide[1] + h * stride * (kept + few * item))
        if reverse:
            out[other] = flat[place]
        else:
            out[place] = flat[other]
    if reverse:
        return out.reshape(n, few, h * stride, w * stride)
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
    relu = 'layer { name: "r" type: "ReLU" bottom: "out" top: "r" relu_param { negative_slope: 1 } }'
    plain = 'layer { name: "f" type: "Reshape" bottom: "flat" top: "data" reshape_param { shape { %s } } }'
    dims = " ".join(f"dim: {d}" for d in shape)
    text = layer(f"stride: {stride} reverse: {str(reverse).lower()}") + relu
    fed = {"data": x} if image else {"flat": x.reshape(shape[0], -1)}
    have = run_layer(text if image else plain % dims + text, fed)["r"]
    assert_matches(have, reorg(x, stride, reverse=reverse))


def test_no_transposition_is_emitted() -> None:
    assert calls(CONV + layer(), {"image": (2, 5, 4, 6)}) == ["Conv2D", "Reorg"]
    assert calls(CONV + layer("stride: 2 reverse: true"), {"image": (2, 5, 4, 6)}) == ["Conv2D", "DepthToSpace"]
    assert calls(CONV + layer("stride: 1"), {"image": (2, 5, 4, 6)}) == ["Conv2D"]


def test_yolo_in_python_is_a_stride_of_2() -> None:
    x = draw(2, 8, 4, 6)
    text = (
        'layer { name: "out" type: "Python" bottom: "data" top: "out" '
        'python_param { module: "yolov2" layer: "darknet_reorg" } }'
    )
    assert_matches(run_layer(text, {"data": x})["out"], reorg(x, 2))


def test_the_batch_stays_free() -> None:
    for shape in ((3, 8, 4, 6), (3, 8, 6, 10)):
        x = draw(*shape)
        (have,) = reloaded(built(layer(), {"data": (2, *shape[1:])}), [x.transpose(0, 2, 3, 1)])
        assert_matches(have.transpose(0, 3, 1, 2), reorg(x, 2))


def test_unknown_extents() -> None:
    assert Reorg(stride=2).infer((2, 8, None, 6)) == ((2, 32, None, 3),)
    assert Reorg(stride=2, reverse=True).infer((2, None, 5, 6)) == ((2, None, 10, 12),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer(""), "reorg_param.stride must be given"),
        (layer("stride: 0"), "reorg_param.stride must be 1 or more, not 0"),
        (layer("stride: 3"), r"axis 1 of the bottom \(2x8x4x6\) must be a multiple of 9 for reorg_param.stride 3"),
        (layer("stride: 4").replace('"data"', '"deep"'), r"axis 3 of the bottom \(2x16x4x6\) must be a multiple of 4"),
        (layer("stride: 3 reverse: true"), "the 8 channels .axis 1. must be a multiple of the 9 places of a square"),
        (layer().replace('"data"', '"flat"'), "only blobs of 4 axes can be taken, not 2x8"),
        (layer(top="data"), "not computed in place"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 8, 4, 6), "deep": draw(2, 16, 4, 6), "flat": draw(2, 8)})
