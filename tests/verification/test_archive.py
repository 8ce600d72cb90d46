"""Arrays in ``.npz`` files: what is written comes back, and what is damaged or made to do harm is told."""

from __future__ import annotations

import io
import os
import struct
import threading
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from caffe2tf.errors import OutputError, ParseError
from caffe2tf.verification import read_arrays, write_arrays

A = np.array([[1.0, -2.0, 3.0], [-4.0, 5.0, 0.5]], np.float32)
METHODS = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2,
           "lzma": zipfile.ZIP_LZMA}  # fmt: skip
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def entry(shape: tuple[int, ...], data: bytes, descr: str = "<f4") -> bytes:
    """A file of NumPy's format with any header."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return out.getvalue() + data


def archive(path: Path, content: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("x.npy", content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ParseError) as caught:
        read_arrays(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_arrays_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "o.npz"
    write_arrays(file, {"a/b": A, "file": A})
    with np.load(file) as back:
        assert sorted(back.files) == ["a/b", "file"]
    for bad in (tmp_path / "no" / "o.npz", tmp_path):
        with pytest.raises(OutputError, match=bad.name):
            write_arrays(bad, {"a": A})
    assert [p.name for p in tmp_path.iterdir()] == ["o.npz"]


@each_method
@pytest.mark.parametrize(
    "array",
    [A, A.T, np.asfortranarray(A), np.array(3, "i8"), A[:0], np.arange(-3, 4, dtype=">i2"), np.array(["ä", "b"]),
     A.astype("f8"), np.array([True, False]), A * 1j],
)  # fmt: skip
def test_arrays_come_back_as_numpy_writes_them(tmp_path: Path, array: np.ndarray, method: int) -> None:
    out = io.BytesIO()
    np.save(out, array)
    back = read_arrays(archive(tmp_path / "a.npz", out.getvalue(), method))["x"]
    np.testing.assert_array_equal(back, array, strict=True)
    assert back.flags.writeable


def test_a_file_of_several_pieces(tmp_path: Path, rng: np.random.Generator) -> None:
    large = rng.normal(size=(3, 1 << 18))  # 6 MiB
    np.savez_compressed(tmp_path / "a.npz", large=large, small=A)
    back = read_arrays(tmp_path / "a.npz")
    assert list(back) == ["large", "small"]
    np.testing.assert_array_equal(back["large"], large)


@pytest.mark.parametrize("shape", [(10**13,), (10**30,), (10**10, 10**10), (3, 3), (-1,), (-2, -3), (0, 10**30)])
def test_a_shape_that_the_file_does_not_hold(tmp_path: Path, shape: tuple[int, ...]) -> None:
    said = refusal(archive(tmp_path / "a.npz", entry(shape, A.tobytes())))
    if shape[0]:
        assert f"array 'x' declares shape {shape}" in said
        assert "the file contains 24" in said


@each_method
def test_memory_is_bounded_by_the_size_of_the_file(tmp_path: Path, method: int) -> None:
    """Header and archive agree on 16 GiB; 24 bytes are there."""
    path = archive(tmp_path / "a.npz", entry((1 << 32,), A.tobytes()), method)
    content, told = bytearray(path.read_bytes()), len(entry((1 << 32,), b"")) + (4 << 32)
    place = content.index(b"PK\x01\x02")  # the entry in the directory, to which its size is added in 64 bits
    name = place + 46 + len("x.npy")
    content[place + 24 : place + 28] = b"\xff" * 4
    content[place + 30 : place + 32] = struct.pack("<H", 12)
    content[name:name] = struct.pack("<HHQ", 1, 8, told)
    end = content.index(b"PK\x05\x06")
    content[end + 12 : end + 16] = struct.pack("<L", end - place)
    path.write_bytes(content)
    with zipfile.ZipFile(path) as file:
        assert file.infolist()[0].file_size == told
    tracemalloc.start()
    refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


def test_more_than_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise MemoryError

    path = archive(tmp_path / "a.npz", entry((2, 3), A.tobytes()))
    monkeypatch.setattr("caffe2tf.verification.archive._PIECE", 1)
    read = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda f, n=-1: fail() if n == 1 else read(f, n))
    assert "needs 24 bytes, more memory than is available" in refusal(path)


@each_method
def test_damage_of_any_kind(tmp_path: Path, rng: np.random.Generator, method: int) -> None:
    """A message, or arrays: a byte that nothing depends on may be any."""
    path = archive(tmp_path / "a.npz", entry((2, 3), A.tobytes()), method)
    sound, refused = path.read_bytes(), 0
    for at in range(len(sound)):
        damaged = bytearray(sound)
        damaged[at] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read_arrays(path)
        except ParseError:
            refused += 1
    assert refused > len(sound) // 2


def test_an_encrypted_entry(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", entry((2, 3), A.tobytes()))
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + place] |= 1
    path.write_bytes(content)
    assert "array 'x' is encrypted" in refusal(path)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
        b"(" * 9000,
        b"{[]: 1}",
        b"'\\d'",
        b"{'descr': 'O', 'fortran_order': False, 'shape': (3,), }",
        b"{'descr': '|V0', 'fortran_order': False, 'shape': (3,), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': 3, }",
        b'"""',
    ],
)
def test_odd_headers(tmp_path: Path, header: bytes) -> None:
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n"
    refusal(archive(tmp_path / "a.npz", content))
    refusal(archive(tmp_path / "a.npz", content.replace(b"NUMPY\x01", b"NUMPY\x09")))


def test_a_header_that_python_2_wrote(tmp_path: Path) -> None:
    """Without a warning, which pytest is told to make an error of."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + A.tobytes()
    np.testing.assert_array_equal(read_arrays(archive(tmp_path / "a.npz", content))["x"], A)


def test_files_that_are_not_regular_are_refused(tmp_path: Path) -> None:
    assert "this is a directory" in refusal(tmp_path)
    assert "not a regular file" in refusal(Path(os.devnull))
    assert "no such file" in refusal(tmp_path / "a.npz")
    with pytest.raises(ParseError, match="null"):
        read_arrays(f"{tmp_path}/a\0b")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(refusal(pipe)), daemon=True)
    thread.start()
    thread.join(10)
    assert said
    assert "not a regular file" in said[0]


@pytest.mark.parametrize("name", ["x" * 65532, "ä" * 32766, "a\0b"])
def test_a_name_that_no_entry_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"o\.npz") as caught:
        write_arrays(tmp_path / "o.npz", {"a": A, name: A})
    assert len(str(caught.value)) < 300 + len(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_longest_name(tmp_path: Path) -> None:
    name = "x" * 65531
    write_arrays(tmp_path / "o.npz", {name: A})
    assert list(read_arrays(tmp_path / "o.npz")) == [name]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    with zipfile.ZipFile(file, "w") as made:
        for value in (b"\x00\x00\x80?", b"\x00\x00\x00@"):
            made.writestr("x.npy", entry((1,), value))
    assert "contains two arrays named 'x'" in refusal(file)
