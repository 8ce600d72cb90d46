"""Crop: recordings of Caffe, each axis of each rank, the emitted layers, errors."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.expr import Call
from caffe2tf.ir.layer import Batch, Context
from caffe2tf.ir.layout import Block, Layout
from caffe2tf.ir.value import Value
from caffe2tf.layers.shape.crop import Crop
from tests.builders import layer
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def crop_layer(parameters: str = "") -> str:
    return layer("Crop", "out", ["data", "like"], parameters=f"crop_param {{ {parameters} }}")


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def value(name: str, shape: tuple[int | None, ...], layout: Layout) -> Value:
    return Value(id=name, blob=name, shape=shape, layout=layout)


@pytest.mark.parametrize("case", recorded("crop"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5])
def test_all_axes(rank: int) -> None:
    shape = (7, 6, 8, 5, 9)[:rank]
    like = (4, 3, 5, 3, 6)[:rank]
    x = draw(*shape)
    for axis in range(rank):
        offsets = [i % 3 for i in range(axis, rank)]
        each = " ".join(f"offset: {o}" for o in offsets)
        other = draw(*shape[:axis], *like[axis:])
        have = run_layer(crop_layer(f"axis: {axis - rank} {each}"), {"data": x, "like": other})["out"]
        region = [slice(o, o + n) for o, n in zip(offsets, like[axis:], strict=True)]
        assert_matches(have, x[(slice(None),) * axis + tuple(region)], f"axis {axis}")


def test_single_and_default_offset() -> None:
    x, like = draw(2, 3, 7, 8), draw(5, 4, 3, 5)
    assert_matches(run_layer(crop_layer("offset: 2"), {"data": x, "like": like})["out"], x[:, :, 2:5, 2:7])
    assert_matches(run_layer(crop_layer(), {"data": x, "like": like})["out"], x[:, :, :3, :5])


def test_emitted_layers() -> None:
    shapes = {"data": (2, 3, 7, 8), "like": (2, 3, 3, 5)}
    relu = layer("ReLU", "r", ["out"])
    assert calls(crop_layer("offset: 1"), shapes) == ["Cropping2D"]
    assert calls(crop_layer() + relu, {"data": (2, 3, 7, 8), "like": (2, 4, 7, 8)}) == ["ReLU"]
    assert calls(crop_layer("axis: 1"), {"data": (2, 4, 7, 8), "like": (2, 3, 7, 8)}) == ["Crop"]
    assert calls(crop_layer(), {"data": (2, 3, 7, 8, 9), "like": (2, 3, 3, 5, 9)}) == ["Cropping3D"]


def test_flattened_blobs_are_cropped_in_caffes_order() -> None:
    flatten = layer("Flatten", "f", ["image"], tops=["data"])
    x, like = draw(2, 3, 4, 5), draw(2, 17)
    have = run_layer(flatten + crop_layer("axis: 1 offset: 11"), {"image": x, "like": like})["out"]
    assert_matches(have, x.reshape(2, -1)[:, 11:28])
    flat = Layout.flat([Block((3, 20), (1, 0))])
    values = [value("data", (4, 60), flat), value("like", (2, 60), flat)]
    assert Crop(axis=0, offset=(1, 0)).arrange(values, []).outputs == (flat,)
    assert Crop(axis=0, offset=(1,)).arrange(values, []).outputs == (Layout.plain(2),)


def test_unknown_extents_are_read_at_run_time() -> None:
    crop = Crop(axis=2, offset=(1, 2))
    assert crop.infer((2, 3, None, 9), (2, 5, 4, None)) == ((2, 3, 4, None),)
    image = Layout.channels_last(4)
    x = value("x", (2, 3, None, 9), image)
    like = value("like", (2, 5, 4, None), Layout.plain(4))
    call = crop.emit(Context(name="out", inputs=(x, like), outputs=()), x, like)
    assert isinstance(call, Call)
    assert call.construct.target == "CropLike"
    assert call.construct.args == (((1, 2, 1), (2, 3, 2)),)


def test_batch_is_kept_unless_cropped() -> None:
    x = draw(3, 7, 8, 2)
    model = built(crop_layer("offset: 1"), {"data": (1, 2, 7, 8), "like": (1, 5, 3, 4)})
    (have,) = reloaded(model, [x, draw(3, 3, 4, 5)])
    assert_matches(have, x[:, 1:4, 1:5])
    assert Crop(axis=1, offset=()).trace_batch([True, True], [(2, 4), (3, 3)], [(2, 3)]) is Batch.KEPT
    assert Crop(axis=0, offset=(0, 1)).trace_batch([True, True], [(2, 4), (2, 3)], [(2, 3)]) is Batch.KEPT
    assert Crop(axis=0, offset=()).trace_batch([True, True], [(3, 4), (2, 3)], [(2, 3)]) is Batch.FIXED


def test_cropped_batch_saved_and_loaded() -> None:
    x = draw(4, 3)
    (have,) = reloaded(built(crop_layer("axis: 0 offset: 1"), {"data": (4, 3), "like": (2, 2)}), [x, draw(2, 2)])
    assert_matches(have, x[1:3, 1:])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (crop_layer("axis: 4"), "crop_param.axis: axis 4 is out of range for a blob of 4 axes"),
        (crop_layer("axis: 1 offset: 1 offset: 2"), "once for each of the 3 axes from axis 1 on, not 2 times"),
        (crop_layer("offset: 3"), "along axis 2, 5 values from offset 3 on exceed its extent of 7"),
        (crop_layer("axis: 1"), "along axis 1, 4 values from offset 0 on exceed its extent of 3"),
        (crop_layer().replace('bottom: "like"', ""), "takes 2 bottoms, 1 given"),
        (
            crop_layer().replace('"like"', '"short"'),
            r"bottom \(2x3x4\) must have at least as many axes as the first",
        ),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": draw(2, 3, 7, 8), "like": draw(2, 4, 5, 5), "short": draw(2, 3, 4)})
