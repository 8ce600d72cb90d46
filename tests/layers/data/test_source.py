"""Data layers: the shapes that a definition implies, and the parameters that Caffe refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError, LayerError
from caffe2tf.layers.data.data import Data
from caffe2tf.layers.data.hdf5_data import HDF5Data
from caffe2tf.layers.data.image_base import ImageSource
from caffe2tf.layers.data.image_data import ImageData
from caffe2tf.layers.data.memory_data import MemoryData
from caffe2tf.layers.data.source import Input, Source
from caffe2tf.layers.data.window_data import WindowData
from caffe2tf.parse import read_network
from tests.builders import write_prototxt

DATA = "data_param { batch_size: 7 }"
IMAGES = "image_data_param { batch_size: 7 new_height: 30 new_width: 40"
WINDOWS = "window_data_param { batch_size: 7 }"
MEMORY = "memory_data_param { batch_size: 7 channels: 2 height: 5 width: 6 }"


def write(folder: Path, kind: str, parameters: str, tops: str = "data label") -> Path:
    listed = " ".join(f'top: "{t}"' for t in tops.split())
    return write_prototxt(folder, f'layer {{ name: "in" type: "{kind}" {listed} {parameters} }}\n')


def read(folder: Path, cls: type[Source], parameters: str, tops: str = "data label") -> Source:
    (layer,) = read_network(write(folder, cls.__name__, parameters, tops)).layers
    return cls.read(layer)


@pytest.mark.parametrize(
    ("cls", "parameters", "shape"),
    [
        (Data, DATA + " transform_param { crop_size: 9 }", (7, 3, 9, 9)),
        (Data, DATA + " transform_param { crop_size: 9 force_gray: true mean_value: 5 }", (7, 1, 9, 9)),
        (Data, DATA + " transform_param { crop_size: 9 mean_value: 5 mean_value: 6 }", (7, 2, 9, 9)),
        (Data, DATA + " transform_param { crop_size: 9 force_color: true mean_value: 5 mean_value: 6 }", (7, 3, 9, 9)),
        (ImageData, IMAGES + "}", (7, 3, 30, 40)),
        (ImageData, IMAGES + " is_color: false }", (7, 1, 30, 40)),
        (ImageData, IMAGES + "} transform_param { crop_size: 9 }", (7, 3, 9, 9)),
        (ImageData, "transform_param { crop_size: 9 }", (1, 3, 9, 9)),
        (WindowData, WINDOWS + " transform_param { crop_size: 9 }", (7, 3, 9, 9)),
        (MemoryData, MEMORY, (7, 2, 5, 6)),
    ],
)
def test_images_and_their_labels(cls: type[Source], parameters: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    shapes = caffe2tf.infer_shapes(write(tmp_path, cls.__name__, parameters))
    assert shapes == {"data": shape, "label": shape[:1]}


@pytest.mark.parametrize(
    ("shapes", "want"),
    [
        ("shape { dim: 2 dim: 3 }", {"a": (2, 3), "b": (2, 3)}),
        ("shape { dim: 2 dim: 3 } shape { dim: 4 }", {"a": (2, 3), "b": (4,)}),
        ("shape { } shape { dim: 4 }", {"a": (), "b": (4,)}),
    ],
)
def test_inputs(shapes: str, want: dict[str, tuple[int, ...]], tmp_path: Path) -> None:
    assert caffe2tf.infer_shapes(write(tmp_path, "Input", f"input_param {{ {shapes} }}", "a b")) == want


@pytest.mark.parametrize(
    ("cls", "parameters", "tops", "names"),
    [
        (Input, "", "data", "'data'"),
        (Input, "", "a b", "'a', 'b'"),
        (Data, DATA, "data label", "'data'"),
        (ImageData, "", "data label", "'data'"),
        (HDF5Data, "hdf5_data_param { batch_size: 7 }", "x y", "'x', 'y'"),
    ],
)
def test_an_unknown_shape_is_asked_for(
    cls: type[Source], parameters: str, tops: str, names: str, tmp_path: Path
) -> None:
    path = write(tmp_path, cls.__name__, parameters, tops)
    with pytest.raises(Caffe2TFError, match=f"does not state the shape of {names}; give .*: input_shapes="):
        caffe2tf.infer_shapes(path)
    given = {t: (4, 3, 8, 9) if i == 0 else (4,) for i, t in enumerate(tops.split())}
    assert caffe2tf.infer_shapes(path, input_shapes=given) == given


def test_labels_follow_the_images(tmp_path: Path) -> None:
    layer = read(tmp_path, Data, DATA)
    assert layer.shapes == (None, (7,))
    assert layer.with_shapes(((4, 3, 8, 9), None)).shapes == ((4, 3, 8, 9), (4,))
    assert layer.with_shapes(((4, 3, 8, 9), (5,))).shapes == ((4, 3, 8, 9), (5,))
    assert layer.with_shapes((None, (5,))).shapes == (None, (5,))
    alone = read(tmp_path, Data, DATA, "data")
    assert alone.with_shapes(((4, 3, 8, 9),)).shapes == ((4, 3, 8, 9),)


@pytest.mark.parametrize(
    ("cls", "parameters", "mean", "shape"),
    [
        (Data, DATA + ' transform_param { mean_file: "m" }', (2, 8, 9), (7, 2, 8, 9)),
        (Data, DATA + ' transform_param { mean_file: "m" crop_size: 8 }', (1, 2, 8, 9), (7, 2, 8, 8)),
        (WindowData, WINDOWS + ' transform_param { mean_file: "m" crop_size: 5 }', (4, 8, 9), (7, 4, 5, 5)),
        (ImageData, 'transform_param { mean_file: "m" }', (3, 8, 9), (1, 3, 8, 9)),
        (ImageData, IMAGES + '} transform_param { mean_file: "m" crop_size: 5 }', (3, 30, 40), (7, 3, 5, 5)),
    ],
)
def test_a_mean_image_implies_the_shape(
    cls: type[Source], parameters: str, mean: tuple[int, ...], shape: tuple[int, ...], tmp_path: Path
) -> None:
    layer = read(tmp_path, cls, parameters)
    assert isinstance(layer, ImageSource)
    assert layer.preprocessing.mean_file == "m"
    assert layer.with_mean(mean).shapes == (shape, shape[:1])


def test_a_mean_image_does_not_change_the_shape_of_memory(tmp_path: Path) -> None:
    layer = read(tmp_path, MemoryData, MEMORY + ' transform_param { mean_file: "m" }')
    assert isinstance(layer, ImageSource)
    assert layer.with_mean((3, 8, 9)).shapes == ((7, 2, 5, 6), (7,))


@pytest.mark.parametrize(
    ("cls", "parameters", "mean", "message"),
    [
        (Data, DATA + ' transform_param { mean_file: "m" crop_size: 9 }', (2, 8, 9), r"crop_size \(9\) is larger"),
        (ImageData, 'image_data_param { is_color: false } transform_param { mean_file: "m" }', (3, 8, 9), "1x\\?x\\?"),
        (ImageData, IMAGES + '} transform_param { mean_file: "m" }', (3, 40, 30), "'m' is 3x40x30 and .* 3x30x40"),
    ],
)
def test_a_mean_image_of_another_shape(
    cls: type[Source], parameters: str, mean: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    layer = read(tmp_path, cls, parameters)
    assert isinstance(layer, ImageSource)
    with pytest.raises(LayerError, match=message):
        layer.with_mean(mean)


def test_datasets_imply_the_shapes(tmp_path: Path) -> None:
    layer = read(tmp_path, HDF5Data, 'hdf5_data_param { batch_size: 7 source: "list.txt" }', "x y")
    assert isinstance(layer, HDF5Data)
    assert layer.source.path == "list.txt"
    assert layer.with_datasets({"x": (100, 3, 4), "y": (100,), "z": (1,)}).shapes == ((7, 3, 4), (7,))
    assert layer.with_datasets({"y": (100, 2)}).shapes == (None, (7, 2))


@pytest.mark.parametrize(
    ("kind", "parameters", "tops", "message"),
    [
        ("Input", "input_param { shape { dim: 2 } shape { dim: 3 } }", "a b c", "once for each of the 3 tops"),
        ("Input", "input_param { shape { dim: 2 dim: 0 } }", "a", "must be 1 or more, not 2x0"),
        ("Data", "data_param { batch_size: 0 }", "data", "data_param.batch_size must be 1 or more, not 0"),
        ("Data", "transform_param { crop_size: 9 }", "data", "shape of 'data'; give its shape: input_shapes="),
        ("Data", DATA, "a b c", "1 to 2 tops, 3 given"),
        ("Data", DATA + ' transform_param { mean_file: "m" mean_value: 1 }', "a", "both mean_file and mean_value"),
        (
            "Data",
            DATA + " transform_param { force_color: true force_gray: true }",
            "a",
            "both force_color and force_gray",
        ),
        ("ImageData", "image_data_param { new_height: 3 }", "a b", "new_width must be given together, not as 3 and 0"),
        ("ImageData", "image_data_param { batch_size: 0 }", "a b", "image_data_param.batch_size must be 1 or more"),
        ("ImageData", "transform_param { mean_value: 1 mean_value: 2 }", "a b", "each of the 3 channels; 2 are given"),
        (
            "ImageData",
            IMAGES + "} transform_param { crop_size: 31 }",
            "a b",
            r"\(31\) is larger than the images \(30x40\)",
        ),
        ("ImageData", "", "a", "takes 2 tops, 1 given"),
        ("WindowData", WINDOWS, "a b", "crop_size must be given"),
        ("WindowData", "transform_param { crop_size: 9 }", "a b", "shape of 'a', 'b'; give their shapes"),
        ("MemoryData", MEMORY.replace("height: 5", ""), "a b", "each 1 or more, not 7x2x0x6"),
        ("MemoryData", MEMORY + ' transform_param { mean_file: "m" mean_value: 1 }', "a b", "mean_file and mean_value"),
        ("HDF5Data", "hdf5_data_param { batch_size: 0 }", "a", "hdf5_data_param.batch_size must be 1 or more"),
        ("HDF5Data", "hdf5_data_param { batch_size: 7 } transform_param { }", "a", "take transform_param away"),
    ],
)
def test_networks_that_caffe_refuses(kind: str, parameters: str, tops: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        caffe2tf.infer_shapes(write(tmp_path, kind, parameters, tops))
