"""Files that a definition names: where they are searched, and the layer with and without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from caffe2tf.errors import LayerError
from caffe2tf.ir import Value
from caffe2tf.ir.expr import Expr
from caffe2tf.ir.layer import ReadsImages
from caffe2tf.ir.preprocessing import DataSource, Preprocessing, SourceKind
from caffe2tf.layers import Context, Elementwise
from caffe2tf.layers.data.data import Data
from caffe2tf.layers.data.hdf5_data import HDF5Data
from caffe2tf.load.named_files import read_images, settle_shapes
from tests.builders import write_mean_image

Floats = npt.NDArray[np.float32]

MEAN = np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 7.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtraction(Elementwise, ReadsImages):
    """A layer that computes with mean images."""

    names: tuple[str, ...]
    images: tuple[Floats, ...] = ()

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        raise NotImplementedError

    def files(self) -> tuple[str, ...]:
        return self.names

    def with_files(self, images: Sequence[Floats]) -> Self:
        return replace(self, images=tuple(images))


def images(names: Sequence[str], beside: Path) -> list[Floats]:
    layer = read_images(Subtraction(names=tuple(names)), beside=str(beside))
    assert isinstance(layer, Subtraction)
    return list(layer.images)


def test_a_file_is_searched_next_to_the_definition_then_here_then_by_its_bare_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    definition, name = tmp_path / "nets" / "net.prototxt", "data/mean.binaryproto"
    places = (tmp_path / "nets" / "mean.binaryproto", tmp_path / "work" / name, tmp_path / "nets" / name)
    for place, factor in zip(places, (1, 2, 3), strict=True):  # the later ones come before those that were there
        write_mean_image(place, MEAN * np.float32(factor))
        (image,) = images([name], definition)
        np.testing.assert_array_equal(image, MEAN * factor)
    write_mean_image(tmp_path / "away" / "other.binaryproto", -MEAN)
    one, two = images([name, str(tmp_path / "away" / "other.binaryproto")], definition)
    np.testing.assert_array_equal(one, 3 * MEAN)
    np.testing.assert_array_equal(two, -MEAN)


@pytest.mark.parametrize("name", ["none.binaryproto", "", "."])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(LayerError, match=f"there is no file {name!r}, whose values the layer needs; put it next to"):
        images([name], tmp_path / "net.prototxt")


def test_a_file_that_is_not_a_mean_image(tmp_path: Path) -> None:
    (tmp_path / "mean").write_text("no mean\n")
    with pytest.raises(LayerError, match="mean: this is a text file"):
        images(["mean"], tmp_path / "net.prototxt")


def data_layer(name: str) -> Data:
    source = DataSource(kind=SourceKind.DATABASE, batch_size=7)
    preprocessing = Preprocessing(mean_file=name)
    return Data(names=("data", "label"), shapes=(None, (7,)), source=source, preprocessing=preprocessing)


def hdf5_layer(listing: str, *names: str) -> HDF5Data:
    source = DataSource(kind=SourceKind.HDF5_LIST, path=listing, batch_size=5)
    return HDF5Data(names=names, shapes=(None,) * len(names), source=source)


def test_a_mean_image_implies_the_shape_unless_it_is_given(tmp_path: Path) -> None:
    write_mean_image(tmp_path / "mean", MEAN)
    beside = str(tmp_path / "net.prototxt")
    assert settle_shapes(data_layer("mean"), [None, None], beside=beside).shapes == ((7, 2, 3, 4), (7,))
    assert settle_shapes(data_layer("mean"), [(1, 3, 9, 8), None], beside=beside).shapes == ((1, 3, 9, 8), (1,))
    (tmp_path / "mean").write_text("no mean\n")
    for name in ("mean", "none"):
        assert settle_shapes(data_layer(name), [None, None], beside=beside).shapes == (None, (7,))


def test_datasets_imply_the_shapes_that_are_not_given(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    with h5py.File(tmp_path / "lists" / "part1.h5", "w") as file:
        file["x"], file["y"] = np.zeros((9, 3, 4)), np.zeros((9,))
    (tmp_path / "lists" / "train.txt").write_text("part1.h5\nnowhere.h5\n")
    layer = hdf5_layer("lists/train.txt", "x", "y")
    beside = str(tmp_path / "net.prototxt")
    assert settle_shapes(layer, [None, None], beside=beside).shapes == ((5, 3, 4), (5,))
    assert settle_shapes(layer, [(2, 6), None], beside=beside).shapes == ((2, 6), (5,))


@pytest.mark.parametrize("listing", [b"", b"nowhere.h5\n", b"train.txt\n", b"\xff\xfe\n"])
def test_an_unreadable_listing_implies_no_shape(tmp_path: Path, listing: bytes) -> None:
    (tmp_path / "train.txt").write_bytes(listing)
    layer = hdf5_layer("train.txt", "x")
    assert settle_shapes(layer, [None], beside=str(tmp_path / "net.prototxt")).shapes == (None,)
