"""Reading mean images."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from caffe2tf.errors import ParseError
from caffe2tf.parse.mean_image import read_mean
from caffe2tf.proto import caffe_pb2

BLOB = caffe_pb2.BlobProto
MEAN = np.arange(24, dtype=np.float32).reshape(2, 3, 4) * 7.5 - 50


def write(tmp_path: Path, content: bytes | BLOB) -> Path:
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


def modern(shape: tuple[int, ...]) -> BLOB:
    return BLOB(shape=caffe_pb2.BlobShape(dim=shape), data=MEAN.ravel().tolist())


@pytest.mark.parametrize(
    ("blob", "shape"),
    [
        (BLOB(num=1, channels=2, height=3, width=4, data=MEAN.ravel().tolist()), (2, 3, 4)),
        (modern((1, 2, 3, 4)), (2, 3, 4)),
        (modern((2, 3, 4)), (2, 3, 4)),
        (modern((2, 3, 2, 2)), (2, 3, 2, 2)),
        (BLOB(num=1, channels=2, height=3, width=4, double_data=MEAN.ravel().tolist()), (2, 3, 4)),
    ],
)
def test_reads_a_mean(tmp_path: Path, blob: BLOB, shape: tuple[int, ...]) -> None:
    found = read_mean(write(tmp_path, blob))
    assert found.dtype == np.float32
    assert found.tolist() == MEAN.reshape(shape).tolist()
    found[0] = 0  # the caller's own


def test_reads_unpacked_values(tmp_path: Path) -> None:
    head = BLOB(num=1, channels=2, height=3, width=4).SerializeToString()
    path = write(tmp_path, head + b"".join(b"\x2d" + v.tobytes() for v in MEAN.ravel()))
    assert read_mean(str(path)).tolist() == MEAN.tolist()


def test_reads_what_caffe_wrote(digits: Path) -> None:
    path = digits / "mean.binaryproto"
    wanted = BLOB.FromString(path.read_bytes())
    found = read_mean(path)
    assert found.shape == (wanted.channels, wanted.height, wanted.width)
    assert found.ravel().tolist() == list(wanted.data)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (
            caffe_pb2.NetParameter(name="n", layer=[caffe_pb2.LayerParameter(name="c")]),
            "this is a network (.caffemodel)",
        ),
        (caffe_pb2.SolverState(iter=3, learned_net="x"), "this is a solver state, not a mean image"),
        (b"name: 'n'\nlayer {}\n", "this is a network definition (prototxt)"),
        (b"\x93NUMPY\x01\x00", "this is a NumPy array"),
        (b"", "the file is empty; copy or download the mean image again"),
        (modern((24,)), "a mean image is channels x height x width, and this blob is 24"),
        (BLOB(num=1, channels=0, height=3, width=4), "this blob is 0x3x4"),
        (BLOB(num=1, channels=3, height=3, width=4, data=[1.0]), "it holds 1 values, but its shape 1x3x3x4 needs 36"),
    ],
)
def test_refuses_other_files(tmp_path: Path, content: bytes | BLOB, wanted: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(ParseError) as caught:
        read_mean(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert wanted in str(caught.value)


def test_refuses_hdf5_missing_files_and_directories(tmp_path: Path) -> None:
    path = tmp_path / "mean.h5"
    with h5py.File(path, "w") as file:
        file["mean"] = MEAN
    with pytest.raises(ParseError, match="this is an HDF5 file"):
        read_mean(path)
    with pytest.raises(ParseError, match="no such file; check the path of the mean image"):
        read_mean(tmp_path / "none.binaryproto")
    with pytest.raises(ParseError, match="this is a directory"):
        read_mean(tmp_path)


def test_refuses_every_truncation(tmp_path: Path) -> None:
    data = modern((1, 2, 3, 4)).SerializeToString()
    for end in range(len(data)):
        with pytest.raises(ParseError):
            read_mean(write(tmp_path, data[:end]))
