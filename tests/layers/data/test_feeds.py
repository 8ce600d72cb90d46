"""Data layers: the record of what Caffe feeds into each top."""

from __future__ import annotations

from pathlib import Path

import pytest

import caffe2tf
from caffe2tf.ir import Shape
from caffe2tf.ir.preprocessing import (
    Backend,
    Color,
    Content,
    Crop,
    DataSource,
    Feed,
    Preprocessing,
    SourceKind,
    Warp,
    WindowSampling,
)
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from tests.builders import write_prototxt

TRANSFORM = 'transform_param { crop_size: 9 mirror: true mean_file: "m" scale: 0.1 }'
DONE = Preprocessing(crop=Crop(size=9), mean_file="m", scale=0.1, mirror=True)
DATABASE = DataSource(
    kind=SourceKind.DATABASE, path="a/lmdb", backend=Backend.LMDB, batch_size=7, rand_skip=0, labels=1
)
FILES = DataSource(
    kind=SourceKind.IMAGE_LIST,
    path="list.txt",
    batch_size=7,
    root_folder="img/",
    shuffle=True,
    rand_skip=5,
    labels=1,
)
IMAGES = (
    'image_data_param { source: "list.txt" batch_size: 7 root_folder: "img/" shuffle: true rand_skip: 5 '
    "new_height: 30 new_width: 40"
)
WINDOWS = (
    'window_data_param { source: "w.txt" root_folder: "img/" batch_size: 7 fg_threshold: 0.6 bg_threshold: 0.3 '
    'fg_fraction: 0.4 context_pad: 2 crop_mode: "square" cache_images: true scale: 0.5 } '
    "transform_param { crop_size: 9 scale: 4 mirror: true mean_value: 3 }"
)
MEMORY = "memory_data_param { batch_size: 7 channels: 2 height: 9 width: 9 }"


def feeds(
    folder: Path, kind: str, parameters: str, tops: str = "data label", phase: str = "TEST"
) -> dict[str, Feed | None]:
    listed = " ".join(f'top: "{t}"' for t in tops.split())
    path = write_prototxt(folder, f'layer {{ name: "in" type: "{kind}" {listed} {parameters} }}\n')
    first, *others = tops.split()
    shapes: dict[str, Shape] = {first: (7, 3, 9, 9), **dict.fromkeys(others, (7,))}
    return load_graph(read_network(path), input_shapes=shapes, phase=phase).feeds()


@pytest.mark.parametrize(
    ("kind", "parameters", "source", "preprocessing"),
    [
        (
            "Data",
            'data_param { source: "a/lmdb" backend: LMDB batch_size: 7 rand_skip: 3 prefetch: 9 scale: 4 } '
            + TRANSFORM,
            DATABASE,
            DONE,
        ),
        ("Data", "", DataSource(kind=SourceKind.DATABASE, backend=Backend.LEVELDB, labels=1), Preprocessing()),
        (
            "Data",
            "transform_param { force_gray: true mean_value: 12.5 }",
            DataSource(kind=SourceKind.DATABASE, backend=Backend.LEVELDB, labels=1),
            Preprocessing(color=Color.GRAY, mean_values=(12.5,)),
        ),
        (
            "Data",
            "transform_param { force_color: true mean_value: 104.1 mean_value: 117 mean_value: -123 }",
            DataSource(kind=SourceKind.DATABASE, backend=Backend.LEVELDB, labels=1),
            Preprocessing(color=Color.BGR, mean_values=(104.1, 117.0, -123.0)),
        ),
        (
            "ImageData",
            IMAGES + "} transform_param { crop_size: 9 force_gray: true }",
            FILES,
            Preprocessing(color=Color.BGR, resize=(30, 40), crop=Crop(size=9)),
        ),
        (
            "ImageData",
            IMAGES + " is_color: false }",
            FILES,
            Preprocessing(color=Color.GRAY, resize=(30, 40)),
        ),
        (
            "ImageData",
            "",
            DataSource(kind=SourceKind.IMAGE_LIST, batch_size=1, labels=1),
            Preprocessing(color=Color.BGR),
        ),
        (
            "WindowData",
            WINDOWS,
            DataSource(
                kind=SourceKind.WINDOWS,
                path="w.txt",
                batch_size=7,
                root_folder="img/",
                labels=1,
                windows=WindowSampling(fg_threshold=0.6, bg_threshold=0.3, fg_fraction=0.4, cache_images=True),
            ),
            Preprocessing(
                color=Color.BGR,
                warp=Warp(size=9, context_pad=2, crop_mode="square"),
                mean_values=(3.0,),
                scale=0.5,
                mirror=True,
            ),
        ),
        (
            "WindowData",
            'window_data_param { crop_mode: "anything" } transform_param { crop_size: 9 }',
            DataSource(kind=SourceKind.WINDOWS, labels=1, windows=WindowSampling()),
            Preprocessing(color=Color.BGR, warp=Warp(size=9)),
        ),
        ("MemoryData", MEMORY, DataSource(kind=SourceKind.MEMORY, batch_size=7, labels=1), Preprocessing()),
        (
            "MemoryData",
            f"{MEMORY} {TRANSFORM}",
            DataSource(kind=SourceKind.MEMORY, batch_size=7, labels=1),
            DONE,
        ),
    ],
)
def test_images_and_labels(
    kind: str, parameters: str, source: DataSource, preprocessing: Preprocessing, tmp_path: Path
) -> None:
    assert feeds(tmp_path, kind, parameters) == {
        "data": Feed(source=source, content=Content.IMAGES, preprocessing=preprocessing),
        "label": Feed(source=source, content=Content.LABELS),
    }


def test_a_database_without_a_top_for_labels(tmp_path: Path) -> None:
    (feed,) = feeds(tmp_path, "Data", "", "data").values()
    assert feed is not None
    assert feed.source.labels == 0


@pytest.mark.parametrize("kind", ["Data", "ImageData", "MemoryData"])
@pytest.mark.parametrize(
    ("own", "phase", "random"),
    [("", "TEST", False), ("", "TRAIN", True), ("phase: TEST", "TRAIN", False), ("phase: TRAIN", "TEST", True)],
)
def test_the_place_of_the_crop_is_random_in_training(
    kind: str, own: str, phase: str, random: bool, tmp_path: Path
) -> None:
    feed = feeds(tmp_path, kind, f"{own} {MEMORY} {TRANSFORM}", phase=phase)["data"]
    assert feed is not None
    assert feed.preprocessing is not None
    assert feed.preprocessing.crop == Crop(size=9, random=random)
    assert feed.preprocessing.mirror


def test_datasets(tmp_path: Path) -> None:
    parameters = 'hdf5_data_param { source: "list.txt" batch_size: 7 shuffle: true }'
    source = DataSource(kind=SourceKind.HDF5_LIST, path="list.txt", batch_size=7, shuffle=True)
    feed = Feed(source=source, content=Content.DATASET)
    assert feeds(tmp_path, "HDF5Data", parameters, "x y z") == {"x": feed, "y": feed, "z": feed}


@pytest.mark.parametrize("kind", ["Input", "AnnotatedData", "data"])
def test_inputs_of_which_nothing_is_known(kind: str, tmp_path: Path) -> None:
    assert feeds(tmp_path, kind, "", "x y") == {"x": None, "y": None}


def test_an_old_definition(tmp_path: Path) -> None:
    """The upgrade moves the transformation, so the scale of WindowData loses its effect, as in Caffe."""
    old = "scale: 0.5 crop_size: 9 mirror: true"
    path = write_prototxt(
        tmp_path,
        f'layers {{ name: "a" type: DATA top: "a" data_param {{ batch_size: 7 {old} }} }}\n'
        f'layers {{ name: "b" type: WINDOW_DATA top: "b" top: "c" window_data_param {{ batch_size: 7 {old} }} }}\n',
    )
    a, b = (load_graph(read_network(path)).feeds()[name] for name in "ab")
    assert a is not None
    assert b is not None
    assert a.preprocessing == Preprocessing(crop=Crop(size=9), scale=0.5, mirror=True)
    assert b.preprocessing == Preprocessing(color=Color.BGR, warp=Warp(size=9), mirror=True)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ("data_param { batch_size: 7 }", None),
        (
            "data_param { batch_size: 7 } transform_param { scale: 0.1 }",
            "Caffe feeds input 'data' images times 0.1; colour images that convert_imageset stored are BGR",
        ),
    ],
)
def test_the_note_is_the_sentence_of_the_record(parameters: str, sentence: str | None, tmp_path: Path) -> None:
    net = write_prototxt(
        tmp_path,
        f'layer {{ name: "in" type: "Data" top: "data" top: "label" {parameters} }}\n'
        'layer { name: "abs" type: "AbsVal" bottom: "data" top: "out" }\n',
    )
    notes = caffe2tf.convert(net, None, tmp_path / "out", input_shapes={"data": (7, 3, 8, 9)}).notes
    assert [n.message for n in notes if n.layer == "in"] == ([sentence] if sentence else [])
