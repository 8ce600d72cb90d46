"""Tile: recordings of Caffe, each axis of each rank, layouts, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.shape.tile import Tile
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def tile_layer(parameters: str, bottom: str = "data") -> str:
    return layer("Tile", "out", [bottom], parameters=f"tile_param {{ {parameters} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("case", recorded("tile"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 2, 5), (3, 2, 5, 4), (2, 3, 2, 4, 5)])
def test_all_axes(shape: tuple[int, ...]) -> None:
    x = draw(*shape)
    for axis in range(len(shape)):
        written = axis if axis % 2 else axis - len(shape)
        have = run_layer(tile_layer(f"axis: {written} tiles: 3"), {"data": x})["out"]
        assert_matches(have, np.concatenate([x, x, x], axis), f"axis {axis}")


def test_default_axis_and_a_single_tile() -> None:
    x = draw(2, 3, 4, 5)
    assert_matches(run_layer(tile_layer("tiles: 2"), {"data": x})["out"], np.concatenate([x, x], 1))
    relu = layer("ReLU", "r", ["out"])
    assert calls(tile_layer("tiles: 1") + relu, {"data": x.shape}) == ["ReLU"]


def test_flattened_image_keeps_its_order() -> None:
    flatten = layer("Flatten", "f", ["data"])
    ip = layer("InnerProduct", "ip", ["out"], parameters="inner_product_param { num_output: 4 }")
    x = draw(2, 3, 4, 5)
    rng = np.random.default_rng(1)
    blobs = [rng.standard_normal((4, 120)), rng.standard_normal(4)]
    have = run_layer(flatten + tile_layer("tiles: 2", "f") + ip, {"data": x}, {"ip": blobs})
    want = np.tile(x.reshape(2, -1), (1, 2))
    assert_matches(have["out"], want)
    assert_matches(have["ip"], want @ blobs[0].T + blobs[1])
    assert calls(flatten + tile_layer("tiles: 2", "f") + ip, {"data": x.shape}) == ["Flatten", "Tile", "Dense"]


def test_unknown_extents() -> None:
    assert Tile(axis=1, tiles=3).infer((2, None, 5)) == ((2, None, 5),)
    assert Tile(axis=-1, tiles=3).infer((None, 5)) == ((None, 15),)


def test_batch_is_kept_unless_repeated() -> None:
    x = draw(3, 4, 5)
    (have,) = reloaded(built(tile_layer("axis: 2 tiles: 2"), {"data": (1, 4, 5)}), [x])
    assert_matches(have, np.concatenate([x, x], 2))
    assert Tile(axis=-3, tiles=2).trace_batch([True], [(2, 4, 5)], [(4, 4, 5)]) is Batch.FIXED
    (have,) = reloaded(built(tile_layer("axis: 0 tiles: 2"), {"data": (3, 4, 5)}), [x])
    assert_matches(have, np.concatenate([x, x], 0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (tile_layer("axis: 1"), "tile_param.tiles is required"),
        (tile_layer("tiles: 0"), "tile_param.tiles must be 1 or more, not 0"),
        (tile_layer("tiles: -2"), "tile_param.tiles must be 1 or more, not -2"),
        (tile_layer("axis: 3 tiles: 2"), "tile_param.axis: axis 3 is out of range for a blob of 3 axes"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 4)})
