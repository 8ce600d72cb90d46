"""ResizeBilinear and ResizeNearestNeighbor: all rules against plain loops, emitted layers, errors."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError, LayerError
from caffe2tf.layers.resizing.tensorflow_resize import ResizeBilinear, Target
from tests import builders
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer

F = np.float32
BLOCKS = {"ResizeBilinear": "resize_bilinear_param", "ResizeNearestNeighbor": "resize_nearest_neighbor_param"}


def layer(type_: str, parameters: str = "output_height: 5 output_width: 7", top: str = "out") -> str:
    """Return the text of the layer, and of an identity after it, so that something is emitted in any case."""
    resize = builders.layer(type_, "out", ["data"], [top], f"{BLOCKS[type_]} {{ {parameters} }}")
    return resize + builders.layer("ReLU", "r", ["out"], parameters="relu_param { negative_slope: 1 }")


def draw(*shape: int) -> Array:
    return np.random.default_rng([len(shape), *shape]).standard_normal(shape).astype(np.float32)


def scale(before: int, after: int, mode: str) -> np.float32:
    return F(before - 1) / F(after - 1) if mode == "align_corners" and after > 1 else F(before) / F(after)


def nearest(i: int, before: int, after: int, mode: str) -> int:
    s = scale(before, after, mode)
    if mode == "half_pixel_onnx":
        return max(min(math.floor(F(float((F(i) + F(0.5)) * s) - 0.5)), before - 1), 0)
    if mode == "half_pixel_centers":
        return max(min(math.floor((F(i) + F(0.5)) * s), before - 1), 0)
    at = F(i) * s
    return min(math.floor(float(at) + 0.5) if mode == "align_corners" else math.floor(at), before - 1)


def linear(i: int, before: int, after: int, mode: str) -> tuple[int, int, np.float32]:
    at = F(i) * scale(before, after, mode)
    if "half_pixel" in mode:
        at = (F(i) + F(0.5)) * scale(before, after, mode) - F(0.5)
    if mode == "pytorch_half_pixel" and after == 1:
        at = F(-0.5)
    return max(math.floor(at), 0), min(math.ceil(at), before - 1), at - F(math.floor(at))


def resized(x: Array, sides: list[int], type_: str, mode: str) -> Array:
    """Resize two or three spatial axes of (N, C, ...), value by value."""
    y = np.empty((*x.shape[:2], *sides), np.float32)
    for at in itertools.product(*(range(s) for s in sides)):
        place: tuple[Any, ...] = (..., *at)
        ends = list(zip(at, x.shape[2:], sides, strict=True))
        if type_ == "ResizeNearestNeighbor":
            source: tuple[Any, ...] = (..., *(nearest(*e, mode) for e in ends))
            y[place] = x[source]
            continue
        part = x
        for low, high, share in reversed([linear(*e, mode) for e in ends]):
            part = part[..., low] + (part[..., high] - part[..., low]) * share
        y[place] = part
    return y


MODES = {
    "ResizeBilinear": ["", "align_corners", "half_pixel_centers", "pytorch_half_pixel"],
    "ResizeNearestNeighbor": ["", "align_corners", "half_pixel_centers", "half_pixel_onnx"],
}
SIZES = [(5, 7), (2, 3), (1, 1), (8, 12), (4, 18), (3, 1), (9, 11), (6, 4)]


@pytest.mark.parametrize(("type_", "mode"), [(t, m) for t, modes in MODES.items() for m in modes])
def test_every_size(type_: str, mode: str) -> None:
    x = draw(2, 3, 4, 6)
    for i, sides in enumerate(SIZES):
        data_format = ["NHWC", "NCHW"][i % 2]
        parameters = f'output_height: {sides[0]} output_width: {sides[1]} data_format: "{data_format}"'
        text = layer(type_, parameters + (f" {mode}: true" if mode else ""))
        want = resized(x, list(sides), type_, mode)
        for order in ((0, 1, 2, 3), (0, 2, 3, 1)):
            if (order == (0, 1, 2, 3)) == (data_format == "NCHW"):
                have = run_layer(text, {"data": x.transpose(order)})["r"]
                assert_matches(have, want.transpose(order), f"{sides} {data_format}")


@pytest.mark.parametrize("type_", BLOCKS)
def test_factors(type_: str) -> None:
    x = draw(2, 3, 4, 6)
    for parameters, sides in (
        ('scale_height: 1.3 scale_width: 0.5 data_format: "NCHW"', [5, 3]),
        ('scale_width: 2 data_format: "NCHW"', [4, 12]),
        ('scale_height: 9 output_height: 7 data_format: "NCHW"', [7, 6]),
    ):
        assert_matches(run_layer(layer(type_, parameters), {"data": x})["r"], resized(x, sides, type_, ""))
    assert Target(scale=0.7).of(10) == 7  # the product is computed in float32
    assert Target(scale=0.7).of(None) is None


@pytest.mark.parametrize("mode", MODES["ResizeBilinear"])
def test_three_spatial_axes(mode: str) -> None:
    x = draw(2, 3, 4, 2, 5)
    sides = [3, 5, 7]
    parameters = 'output_height: 3 output_width: 5 output_depth: 7 data_format: "NCHWD"'
    text = layer("ResizeBilinear", parameters + (f" {mode}: true" if mode else ""))
    assert_matches(run_layer(text, {"data": x})["r"], resized(x, sides, "ResizeBilinear", mode))


def test_emitted_layers() -> None:
    parameters = "convolution_param { num_output: 3 kernel_size: 1 }"
    conv = builders.layer("Convolution", "c", ["image"], ["data"], parameters)

    def second(type_: str, parameters: str) -> str:
        return calls(conv + layer(type_, parameters + ' data_format: "NCHW"'), {"image": (2, 5, 4, 6)})[1]

    twice, thrice = "output_height: 8 output_width: 12", "output_height: 12 output_width: 18"
    neighbor, bilinear = "ResizeNearestNeighbor", "ResizeBilinear"
    assert second(neighbor, twice) == "UpSampling2D"
    assert second(neighbor, twice + " align_corners: true") == "ResizeNearest"
    assert second(neighbor, thrice) == "ResizeNearest"
    assert second(bilinear, thrice + " half_pixel_centers: true") == "UpSampling2D"
    assert second(bilinear, twice) == "ResizeBilinear"
    assert second(bilinear, "align_corners: true") == "LeakyReLU"  # the size does not change


@pytest.mark.parametrize("type_", BLOCKS)
def test_saved_model_takes_any_batch(type_: str) -> None:
    x = draw(3, 3, 4, 6)
    text = layer(type_, 'output_height: 5 output_width: 7 align_corners: true data_format: "NCHW"')
    (have,) = reloaded(built(text, {"data": (2, 3, 4, 6)}), [x.transpose(0, 2, 3, 1)])
    assert_matches(have.transpose(0, 3, 1, 2), resized(x, [5, 7], type_, "align_corners"))


def test_unknown_extents() -> None:
    made = ResizeBilinear(axes=(2, 3), targets=(Target(extent=5), Target(scale=2)))
    assert made.infer((None, 3, 4, 6)) == ((None, 3, 5, 12),)
    with pytest.raises(LayerError, match="must be known before the network runs"):
        made.infer((2, 3, None, 6))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            layer("ResizeBilinear", "align_corners: true half_pixel_centers: true"),
            "at most one of align_corners, half_pixel_centers, .*, not align_corners and half_pixel_centers",
        ),
        (
            layer("ResizeNearestNeighbor", "half_pixel_onnx: true half_pixel_centers: true"),
            "half_pixel_centers and half_pixel_onnx",
        ),
        (layer("ResizeBilinear", "output_height: 0"), "resize_bilinear_param.output_height must be 1 or more, not 0"),
        (
            layer("ResizeNearestNeighbor", "scale_width: -2"),
            "resize_nearest_neighbor_param.scale_width must be greater than 0, not -2",
        ),
        (layer("ResizeBilinear", "scale_width: inf"), "resize_bilinear_param.scale_width must be one finite number"),
        (layer("ResizeBilinear", "scale_width: 1e38"), r"4 \* 1e\+38 is more than an extent can be \(2147483647\)"),
        (layer("ResizeBilinear", "align_corners: true pytorch_half_pixel: 1"), "align_corners and pytorch_half_pixel"),
        (layer("ResizeBilinear", "scale_width: 0.1"), r"nothing is left of axis 2: 4 \* 0.1 is rounded"),
        (
            layer("ResizeBilinear", "saturate: Signed"),
            "field 'resize_bilinear_param.saturate' is not known, and may change what the layer computes",
        ),
        (layer("ResizeBilinear", 'data_format: "NCHWD"'), r"must have 5 axes, not 4 \(2x3x4x6\)"),
        (layer("ResizeNearestNeighbor").replace('"data"', '"flat"', 1), r"must have 4 axes, not 2 \(2x8\)"),
        (layer("ResizeBilinear", top="data"), "not computed in place"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 4, 6), "flat": draw(2, 8)})
