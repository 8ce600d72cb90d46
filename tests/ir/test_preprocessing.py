"""Records of what Caffe feeds: the sentence that describes them, and their form in JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

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

DATABASE = DataSource(kind=SourceKind.DATABASE, path="lmdb", backend=Backend.LMDB, batch_size=7, labels=1)
FILES = DataSource(kind=SourceKind.IMAGE_LIST, path="list.txt", batch_size=7, labels=1)
MEMORY = DataSource(kind=SourceKind.MEMORY, batch_size=7, labels=1)
WINDOWS = DataSource(kind=SourceKind.WINDOWS, batch_size=7, labels=1, windows=WindowSampling())
STORED = "; colour images that convert_imageset stored are BGR"


def images(source: DataSource, preprocessing: Preprocessing) -> Feed:
    return Feed(source=source, content=Content.IMAGES, preprocessing=preprocessing)


@pytest.mark.parametrize(
    ("source", "preprocessing", "sentence"),
    [
        (
            FILES,
            Preprocessing(
                color=Color.BGR,
                resize=(40, 56),
                crop=Crop(size=27),
                mean_file="m",
                scale=0.00390625,
            ),
            "BGR images resized to 40x56, cropped to 27x27 at the centre, minus the mean image 'm', times 0.00390625",
        ),
        (FILES, Preprocessing(color=Color.BGR), "BGR images"),
        (FILES, Preprocessing(color=Color.GRAY, scale=0.1), "grey images times 0.1"),
        (DATABASE, Preprocessing(crop=Crop(size=9)), "images cropped to 9x9 at the centre" + STORED),
        (DATABASE, Preprocessing(crop=Crop(size=9, random=True)), "images cropped to 9x9 at a random place" + STORED),
        (DATABASE, Preprocessing(color=Color.BGR, mean_values=(5.0,)), "BGR images minus 5.0"),
        (DATABASE, Preprocessing(color=Color.GRAY, mean_values=(-5.0,)), "grey images minus -5.0"),
        (DATABASE, Preprocessing(mean_values=(5.0, 5.0, 5.0)), "images minus 5.0" + STORED),
        (
            FILES,
            Preprocessing(color=Color.BGR, mean_values=(0.0, 7.5, 9.0), scale=2.0),
            "BGR images minus (0.0, 7.5, 9.0) per channel, times 2.0",
        ),
        (
            DATABASE,
            Preprocessing(scale=0.5, mirror=True),
            "images times 0.5, half of them mirrored left to right at random" + STORED,
        ),
        (
            WINDOWS,
            Preprocessing(color=Color.BGR, warp=Warp(size=9), mean_values=(3.0,)),
            "windows of BGR images warped to 9x9, minus 3.0",
        ),
        (
            WINDOWS,
            Preprocessing(color=Color.BGR, warp=Warp(size=9, context_pad=2, crop_mode="square")),
            "windows of BGR images widened to squares and resized to 9x9 with 2 pixels of context on each side",
        ),
        (
            MEMORY,
            Preprocessing(scale=0.5),
            "images times 0.5; arrays that a program sets directly are fed as they are",
        ),
    ],
)
def test_sentence(source: DataSource, preprocessing: Preprocessing, sentence: str) -> None:
    feed = images(source, preprocessing)
    assert feed.describe() == f"Caffe feeds this input {sentence}"
    assert feed.describe("input 'data'") == f"Caffe feeds input 'data' {sentence}"


@pytest.mark.parametrize(
    "feed",
    [
        Feed(source=FILES, content=Content.LABELS),
        Feed(source=DataSource(kind=SourceKind.HDF5_LIST), content=Content.DATASET),
        images(DATABASE, Preprocessing()),
        images(MEMORY, Preprocessing()),
        images(DATABASE, Preprocessing(mean_values=(0.0, 0.0, 0.0))),
    ],
)
def test_nothing_to_say(feed: Feed) -> None:
    assert feed.describe() == ""


@pytest.mark.parametrize(
    ("preprocessing", "size"),
    [
        (Preprocessing(), None),
        (Preprocessing(resize=(3, 4)), (3, 4)),
        (Preprocessing(resize=(5, 4), crop=Crop(size=3)), (3, 3)),
        (Preprocessing(warp=Warp(size=6)), (6, 6)),
    ],
)
def test_size_of_the_images_in_the_blob(preprocessing: Preprocessing, size: tuple[int, int] | None) -> None:
    assert preprocessing.size == size


def test_a_record_is_plain_json() -> None:
    feed = images(WINDOWS, Preprocessing(color=Color.GRAY, resize=(3, 4), warp=Warp(size=9), mean_values=(1.5, 2.0)))
    have = json.loads(json.dumps(asdict(feed)))
    assert have["content"] == "images"
    assert have["source"]["kind"] == "windows"
    assert have["source"]["windows"]["fg_fraction"] == 0.25
    assert have["preprocessing"]["color"] == "grey"
    assert have["preprocessing"]["resize"] == [3, 4]
    assert have["preprocessing"]["mean_values"] == [1.5, 2.0]
