"""DepthToSpace and the pixelshuffler of Reshape: plain loops, the emitted layers, errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.layers.shape.depth_to_space import DepthToSpace
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer


def depth_to_space_layer(parameters: str = "block_size: 2", top: str = "out") -> str:
    return layer("DepthToSpace", "out", ["data"], [top], f"depth_to_space_param {{ {parameters} }}")


def shuffler(size: int, more: str = "") -> str:
    return layer("Reshape", "out", ["data"], parameters=f"reshape_param {{ pixelshuffler: {size} {more} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng([len(shape), *shape]).standard_normal(shape).astype(np.float32)


def spread(x: Array, b: int, *, inner: bool) -> Array:
    """Compute the top of a bottom (N, C, H, W) value by value."""
    n, depth, h, w = x.shape
    c = depth // b**2
    y = np.empty((n, c, h * b, w * b), np.float32)
    for channel, row, column in itertools.product(range(c), range(h * b), range(w * b)):
        position = row % b * b + column % b
        origin = channel * b**2 + position if inner else position * c + channel
        y[:, channel, row, column] = x[:, origin, row // b, column // b]
    return y


@pytest.mark.parametrize("image", [True, False])
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW", "DCR", "CRD"])
@pytest.mark.parametrize(("b", "shape"), [(2, (2, 12, 3, 5)), (3, (2, 18, 2, 4)), (1, (2, 3, 4, 5))])
def test_loops(b: int, shape: tuple[int, ...], data_format: str, image: bool) -> None:
    x = draw(*shape)
    want = spread(x, b, inner=data_format == "CRD")
    if data_format == "NHWC":
        x, want = x.transpose(0, 2, 3, 1), want.transpose(0, 2, 3, 1)
    text = depth_to_space_layer(f'block_size: {b} data_format: "{data_format}"')
    text += layer("ReLU", "r", ["out"], parameters="relu_param { negative_slope: 1 }")
    fed = {"data": x}
    if not image:
        dims = " ".join(f"dim: {d}" for d in x.shape)
        first = layer("Reshape", "f", ["flat"], ["data"], f"reshape_param {{ shape {{ {dims} }} }}")
        text, fed = first + text, {"flat": x.reshape(2, -1)}
    assert_matches(run_layer(text, fed)["r"], want)


@pytest.mark.parametrize(("size", "shape"), [(2, (2, 12, 3, 5)), (3, (2, 18, 2, 4))])
def test_pixelshuffler(size: int, shape: tuple[int, ...]) -> None:
    x = draw(*shape)
    have = run_layer(shuffler(size, "shape { dim: -1 dim: -1 }"), {"data": x})["out"]
    assert_matches(have, spread(x, size, inner=True))


def test_pixelshuffler_of_1_is_a_plain_reshape() -> None:
    x = draw(2, 12, 3, 5)
    assert_matches(run_layer(shuffler(1, "shape { dim: 0 dim: -1 }"), {"data": x})["out"], x.reshape(2, -1))


def test_pixelshuffler_does_not_share_memory() -> None:
    x = draw(2, 12, 3, 5)
    relu = layer("ReLU", "r", ["out"], tops=["out"])
    power = layer("Power", "p", ["data"], parameters="power_param { scale: 2 }")
    have = run_layer(shuffler(2) + relu + power, {"data": x})
    assert_matches(have["out"], np.maximum(spread(x, 2, inner=True), 0))
    assert_matches(have["p"], 2 * x)


def test_no_transposition_is_emitted() -> None:
    conv = layer(
        "Convolution", "c", ["image"], tops=["data"], parameters="convolution_param { num_output: 12 kernel_size: 1 }"
    )
    shapes = {"image": (2, 5, 4, 6)}
    assert calls(conv + depth_to_space_layer('block_size: 2 data_format: "NCHW"'), shapes) == ["Conv2D", "DepthToSpace"]
    assert calls(conv + shuffler(2), shapes) == ["Conv2D", "DepthToSpace"]
    assert calls(conv + depth_to_space_layer('block_size: 1 data_format: "NCHW"'), shapes) == ["Conv2D"]


@pytest.mark.parametrize("word", ["NCHW", "CRD"])
def test_batch_is_kept(word: str) -> None:
    x = draw(3, 12, 3, 5)
    model = built(depth_to_space_layer(f'block_size: 2 data_format: "{word}"'), {"data": (2, 12, 3, 5)})
    (have,) = reloaded(model, [x.transpose(0, 2, 3, 1)])
    assert_matches(have.transpose(0, 3, 1, 2), spread(x, 2, inner=word == "CRD"))


def test_unknown_extents() -> None:
    assert DepthToSpace(block_size=2, data_format="NCHW").infer((2, 8, None, 5)) == ((2, 2, None, 10),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (depth_to_space_layer(""), "depth_to_space_param.block_size is required"),
        (depth_to_space_layer("block_size: 0"), "depth_to_space_param.block_size must be 1 or more, not 0"),
        (
            depth_to_space_layer('block_size: 2 data_format: "HWCN"'),
            "data_format must be NHWC, NCHW, DCR or CRD, not 'HWCN'",
        ),
        (
            depth_to_space_layer("block_size: 2"),
            r"the number of channels \(5, axis 3\) must be a multiple of 4, as depth_to_space_param.block_size is 2",
        ),
        (
            depth_to_space_layer('block_size: 5 data_format: "CRD"'),
            r"channels \(12, axis 1\) .* 25, as depth_to_space_param.block_size is 5",
        ),
        (depth_to_space_layer(top="data"), "not computed in place"),
        (shuffler(5), r"channels \(12, axis 1\) .* 25, as reshape_param.pixelshuffler is 5"),
        (shuffler(0), "reshape_param.pixelshuffler must be 1 or more, not 0"),
        (shuffler(2).replace('"data"', '"flat"'), "only bottoms of 4 axes are supported, not 2x8"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 12, 3, 5), "flat": draw(2, 8)})
