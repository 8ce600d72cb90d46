"""DataAugmentation: the trained mean, the crop, what is left to training, every error."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from tests.builders import input_layers, write_caffemodel, write_prototxt
from tests.layers.emitted import built, calls, reloaded
from tests.layers.oracle import Array, assert_matches, run_layer

MIRROR = 'mirror { rand_type: "bernoulli" prob: 0.5 }'
NOISE = 'noise { rand_type: "uniform_bernoulli" exp: false mean: 0.03 spread: 0.03 prob: 1.0 }'


def layer(parameters: str, bottoms: str = 'bottom: "x"', tops: str = 'top: "y"', more: str = "") -> str:
    return (
        f'layer {{ name: "aug" type: "DataAugmentation" {bottoms} {tops} '
        f"augmentation_param {{ {parameters} }} {more} }}\n"
    )


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(0.2, 1, shape).astype(np.float32)


def naive_crop(x: Array, height: int, width: int) -> Array:
    """Place by place: coordinates and their clamping in float32, as on Caffe's GPU."""
    n, c, rows, columns = x.shape
    out = np.empty((n, c, height, width), np.float32)
    last_row, last_column = (np.float32(d) - np.float32(1.05) for d in (rows, columns))
    for i in range(height):
        y_at = max(np.float32(0), min(np.float32(i - height / 2 + rows / 2), last_row))
        top, down = math.floor(y_at), y_at - np.float32(math.floor(y_at))
        for j in range(width):
            at = max(np.float32(0), min(np.float32(j - width / 2 + columns / 2), last_column))
            left, right = math.floor(at), at - np.float32(math.floor(at))
            below, beside = min(top + 1, rows - 1), min(left + 1, columns - 1)
            out[:, :, i, j] = (
                (1 - right) * (1 - down) * x[:, :, top, left]
                + right * down * x[:, :, below, beside]
                + (1 - right) * down * x[:, :, below, left]
                + right * (1 - down) * x[:, :, top, beside]
            )
    return out


def blobs(count: float, places: Array) -> dict[str, list[Array]]:
    """As trained; the mean of each channel is none of the other's, so that a mix-up shows."""
    channels = 3 + places.mean(axis=(2, 3), keepdims=True)
    return {"aug": [np.full((1, 1, 1, 1), count, np.float32), places, channels]}


@pytest.mark.parametrize("size", [(4, 5), (7, 6)])
@pytest.mark.parametrize("augment", ["true", "false"])
def test_mean_of_each_channel(size: tuple[int, int], augment: str) -> None:
    """The deployed FlowNet2; the images of its training may be of another size."""
    x, trained = draw(2, 3, 4, 5), blobs(1200, draw(1, 3, *size))
    text = layer(f"augment_during_test: {augment} recompute_mean: 1000 mean_per_pixel: false")
    np.testing.assert_array_equal(run_layer(text, {"x": x}, trained)["y"], x - trained["aug"][2])


@pytest.mark.parametrize("stated", ["", "mean_per_pixel: true"])
def test_mean_of_each_place(stated: str) -> None:
    x, places = draw(2, 3, 4, 5), draw(1, 3, 4, 5)
    have = run_layer(layer(f"recompute_mean: 7 {stated}"), {"x": x}, blobs(7, places))["y"]
    np.testing.assert_array_equal(have, x - places)


def test_mean_of_each_place_of_images_of_another_size() -> None:
    x, places = draw(2, 3, 4, 5), draw(1, 3, 6, 7)
    have = run_layer(layer("recompute_mean: 7"), {"x": x}, blobs(8, places))["y"]
    assert_matches(have, x - places.mean(axis=(2, 3), keepdims=True))


@pytest.mark.parametrize("size", [(5, 8), (6, 7), (3, 4), (9, 10), (9, 4), (4, 10), (1, 10), (7, 2)])
@pytest.mark.parametrize("mean", ["", "mean_per_pixel: false mean: 0.5 mean: -0.25 mean: 1.5"])
def test_crop(size: tuple[int, int], mean: str) -> None:
    x = draw(2, 3, 9, 10)
    want = naive_crop(x, *size)
    if mean:
        want = want - np.array([0.5, -0.25, 1.5], np.float32).reshape(1, 3, 1, 1)
    have = run_layer(layer(f"crop_height: {size[0]} crop_width: {size[1]} {mean}"), {"x": x})["y"]
    assert_matches(have, want, tolerance=1e-6)


def test_an_image_of_one_row_is_cropped_to_one() -> None:
    x = draw(2, 3, 1, 6)
    assert_matches(run_layer(layer("crop_height: 1 crop_width: 4"), {"x": x})["y"], naive_crop(x, 1, 4))


def test_crop_and_trained_mean() -> None:
    x, places = draw(2, 4, 7, 9), draw(1, 4, 3, 6)
    for stated, mean in (("", places), ("mean_per_pixel: false", 3 + places.mean(axis=(2, 3), keepdims=True))):
        text = layer(f"crop_height: 3 crop_width: 6 recompute_mean: 2 max_multiplier: 1 {stated} {NOISE}")
        assert_matches(run_layer(text, {"x": x}, blobs(2, places))["y"], naive_crop(x, 3, 6) - mean)


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        f"crop_width: 3 augment_during_test: true {MIRROR}",  # it alters nothing without both
        "mean: 1 mean: 2 mean: 3",
        "mean: 1 mean: 2 mean_per_pixel: false",
        'mode: "replace" write_augmented: "a" write_mean: "b" num: 3 bottomwidth: 4 bottomheight: 5 max_multiplier: 1',
    ],
)
def test_nothing_is_done(parameters: str) -> None:
    x = draw(2, 3, 4, 5)
    more = "coeff_schedule_param { half_life: 50000 }"
    np.testing.assert_array_equal(run_layer(layer(parameters, more=more), {"x": x})["y"], x)


def test_blobs_of_a_training_are_left_alone_where_nothing_asks_for_them() -> None:
    x = draw(2, 3, 4, 5)
    np.testing.assert_array_equal(run_layer(layer("recompute_mean: 0"), {"x": x}, blobs(9, draw(1, 3, 4, 5)))["y"], x)


def test_fewer_axes() -> None:
    x = draw(2, 3)
    have = run_layer(layer("mean_per_pixel: false mean: [1, 2, -3]"), {"x": x})["y"]
    np.testing.assert_array_equal(have, (x - np.array([1, 2, -3], np.float32)).reshape(2, 3, 1, 1))


def test_without_weights_the_mean_is_0() -> None:
    x = draw(2, 3, 4, 5)
    np.testing.assert_array_equal(run_layer(layer("recompute_mean: 9"), {"x": x})["y"], x)


def test_the_emitted_layers() -> None:
    shapes = {"x": (1, 3, 8, 10)}
    assert calls(layer("recompute_mean: 9 mean_per_pixel: false"), shapes) == ["SubtractMean"]
    assert calls(layer("crop_height: 4 crop_width: 4"), shapes) == ["Cropping2D"]
    assert calls(layer("crop_height: 4 crop_width: 5"), shapes) == ["BilinearCrop"]
    given = "mean_per_pixel: false mean: 1 mean: 2 mean: 3"
    assert calls(layer(f"crop_height: 4 crop_width: 4 {given}"), shapes) == ["Cropping2D", "Rescaling"]
    trained = "recompute_mean: 9 crop_height: 8 crop_width: 10"
    assert calls(layer(trained), shapes) == ["BilinearCrop", "SubtractMean"]


def test_any_batch_saved_and_loaded_and_not_trained() -> None:
    x = draw(3, 2, 5, 6)
    model = built(layer("recompute_mean: 9 crop_height: 4 crop_width: 3"), {"x": (1, 2, 5, 6)})
    mean = draw(4, 3, 2)
    model.set_weights([mean])
    assert model.trainable_weights == []
    assert [w.path for w in model.weights] == ["aug/mean"]
    (have,) = reloaded(model, [np.moveaxis(x, 1, 3)])
    assert_matches(np.moveaxis(have, 3, 1), naive_crop(x, 4, 3) - np.moveaxis(mean, 2, 0))


TRAINING = [
    layer(f"crop_height: 3 crop_width: 4 augment_during_test: true {MIRROR}"),
    layer("crop_height: 3 crop_width: 4", tops='top: "y" top: "drawn"'),
    layer("crop_height: 3 crop_width: 4", bottoms='bottom: "x" bottom: "x"'),
]


@pytest.mark.parametrize("text", TRAINING)
def test_tops_of_training_sources_are_inputs(tmp_path: Path, text: str) -> None:
    head = 'layer { name: "abs" type: "AbsVal" bottom: "y" top: "z" }'
    net = write_prototxt(tmp_path, input_layers({"x": (2, 3, 6, 7)}) + text + head)
    drawn = {"drawn": (2, 42, 1, 1)} if "drawn" in text else {}
    assert caffe2tf.infer_shapes(net) == {"x": (2, 3, 6, 7), "y": (2, 3, 3, 4), "z": (2, 3, 3, 4), **drawn}
    done = caffe2tf.convert(net, None, tmp_path / "out", input_shapes={"y": (1, 4, 2, 5)})
    assert done.inputs["y"] == (1, 2, 5, 4)
    assert set(done.inputs) == {"y", *drawn}
    assert set(done.outputs) == {"z", *drawn}
    assert any("'aug': it augments training data" in str(note) for note in done.notes)


@pytest.mark.parametrize(
    ("parameters", "remark"),
    [
        (f"crop_height: 2 crop_width: 2 {NOISE}", "in training it alters images at random"),
        ("mean: 1 mean: 2 mean: 3", "augmentation_param.mean has no effect"),
    ],
)
def test_remarks(tmp_path: Path, parameters: str, remark: str) -> None:
    net = write_prototxt(tmp_path, input_layers({"x": (1, 3, 4, 5)}) + layer(parameters))
    assert any(remark in str(note) for note in caffe2tf.convert(net, None, tmp_path / "out").notes)


def test_a_mean_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    net = write_prototxt(tmp_path, input_layers({"x": (1, 3, 4, 5)}) + layer("recompute_mean: 10"))
    for count, message in ((9, "layer 'aug': .*over 9 batches of the 10 .* set it to 9"), (0, "no mean is stored")):
        trained = write_caffemodel(tmp_path, blobs(count, draw(1, 3, 4, 5)))
        with pytest.raises(Caffe2TFError, match=message):
            caffe2tf.convert(net, trained, tmp_path / "out")


def test_a_mean_of_other_channels_or_none_at_all_is_refused() -> None:
    text, x = layer("recompute_mean: 10"), draw(2, 3, 4, 5)
    with pytest.raises(Caffe2TFError, match="mean of each pixel is 1x3x4x5 in the network, 1x2x4x5 in the file"):
        run_layer(text, {"x": x}, blobs(10, draw(1, 2, 4, 5)))
    with pytest.raises(Caffe2TFError, match=r"needs 3 blobs .* but the file has 1"):
        run_layer(text, {"x": x}, {"aug": [np.zeros((1, 1, 1, 1))]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer("crop_height: 5 crop_width: 5"), r"\(5x5\) must not be larger than the images \(4x5\)"),
        (layer("crop_height: 0 crop_width: 5"), "crop_height must be one whole number, 1 or more, not 0"),
        (layer("crop_height: 2 crop_width: 2.5"), "crop_width must be one whole number, 1 or more, not 2.5"),
        (layer("recompute_mean: true"), "recompute_mean must be one whole number, 0 or more, not true"),
        (layer("mean_per_pixel: 2"), "mean_per_pixel must be true or false, not 2"),
        (layer("zoom_in: 3"), "field 'augmentation_param.zoom_in' is not known"),
        (layer("", more="shift_param { a: 1 }"), "field 'shift_param' is not known"),
        (layer("crop_height: 2 crop_width: 2", tops='top: "x"'), "not computed in place"),
        (layer("", bottoms='bottom: "x" ' * 3), "takes 1 to 2 bottoms, 3 given"),
        (layer("mean_per_pixel: false mean: 1 mean: 2 mean: 3", 'bottom: "w"'), "the images have 2 channels, not 3"),
        (layer("", 'bottom: "five"'), "2 to 4 axes"),
        ('layer { name: "a" type: "DataAugmentation" bottom: "x" top: "y" augmentation_param: 1 }', "one block"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"x": draw(1, 3, 4, 5), "w": draw(1, 2, 4, 5), "five": draw(1, 3, 2, 2, 2)})
