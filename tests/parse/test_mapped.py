"""Memory-mapped files, and the messages about files that cannot be mapped or belong to other programs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from caffe2tf.errors import ParseError
from caffe2tf.parse.mapped import MappedFile, is_hdf5, map_file, require_binary

HDF5 = b"\x89HDF\r\n\x1a\n"


def mapped(path: Path, data: bytes) -> MappedFile:
    path.write_bytes(data)
    return map_file(path, what="trained weights", suffixes=(".caffemodel",))


def refusal(path: Path) -> str:
    with pytest.raises(ParseError) as caught:
        map_file(path, what="trained weights", suffixes=(".caffemodel", ".h5"))
    return str(caught.value)


def test_a_view_stays_valid_after_close_and_release(tmp_path: Path) -> None:
    values = np.linspace(-3, 5, 50_000, dtype=np.float32)
    file = mapped(tmp_path / "f", values.tobytes())
    view = np.frombuffer(file.map, np.float32)
    assert not view.flags.writeable
    file.release()
    file.close()
    np.testing.assert_array_equal(view, values)
    del view
    file.close()
    assert file.map.closed


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "no such file; check the path of the trained weights"),
        ("below a file", "the trained weights cannot be read"),
        ("empty", "the file is empty; copy or download the trained weights again"),
        ("pipe", "not a regular file; copy it to one first"),
        ("null", "the trained weights cannot be read"),
    ],
)
def test_files_that_cannot_be_mapped_are_refused(tmp_path: Path, kind: str, said: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer for good
    path = {"below a file": tmp_path / "file" / "x", "null": tmp_path / "a\0b"}.get(kind, tmp_path / kind)
    assert refusal(path).startswith(f"{path}: {said}")


def test_the_message_about_a_directory_lists_suitable_files(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    assert refusal(folder) == f"{folder}: this is a directory, but the trained weights must be a file"
    for name in ("f.h5", "a.caffemodel", "b.caffemodel", "c.h5", "d.h5", "e.h5", "z.txt"):
        (folder / name).touch()
    assert refusal(folder).endswith("must be a file; it contains a.caffemodel, b.caffemodel, c.h5, d.h5, e.h5")


@pytest.mark.parametrize("offset", [0, 512, 1024, 2048])
def test_hdf5_after_a_user_block_is_recognised(offset: int) -> None:
    assert is_hdf5(b"u" * offset + HDF5 + b"rest")
    assert not is_hdf5(b"u" * (offset + 1) + HDF5)
    assert not is_hdf5(b"u" * offset + HDF5[:-1])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer, not the file itself"),
        (b"\r\n <!DOCTYPE html><title>404</title>\x00", "a web page, probably left by a failed download"),
        (b"<HTML>\x01", "a web page"),
        (b"\x93NUMPY\x01\x00", "a NumPy array"),
        (b"PK\x03\x04\x14\x00", "a zip archive (.npz, .keras, .pth and .zip are)"),
        (b"\x1f\x8b\x08\x00", "compressed with gzip: unpack it first"),
        (b"BZh91AY\x01", "compressed with bzip2"),
        (b"\xfd7zXZ\x00", "compressed with xz"),
        (b"\x80\x02}q\x00.", "a Python pickle"),
        (b'name: "n"\r\nlayer {\n\tname: "x"\n}\n', "a network definition (prototxt)"),
        (b"# notes\n" + b"a" * 3000 + b"\nlayers { }", "a network definition (prototxt)"),
        ("Gewichte für später\n".encode(), "a text file"),
    ],
)
def test_files_of_other_programs_are_named(tmp_path: Path, data: bytes, said: str) -> None:
    file = mapped(tmp_path / "given", data)
    with pytest.raises(ParseError) as caught:
        require_binary(file, instead="pass the weights")
    assert str(caught.value).startswith(f"{tmp_path / 'given'}: this is {said}")
    assert str(caught.value).endswith("; pass the weights")


@pytest.mark.parametrize("data", [b"\x0a\x03net", b"\x00", b"layer\x01", HDF5])
def test_binary_files_pass(tmp_path: Path, data: bytes) -> None:
    require_binary(mapped(tmp_path / "given", data), instead="pass the weights")
