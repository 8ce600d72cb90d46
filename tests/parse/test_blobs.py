"""Trained blobs: the values and shapes of every way to write them, without copies."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from caffe2tf.parse.weights import open_weights
from caffe2tf.proto import caffe_pb2
from tests.parse.conftest import Load
from tests.parse.messages import field, modern, one_blob, varint

SIX = np.array([1.5, -2.25, 3.0, -0.0, 1e-30, -7e20], np.float32)
SHAPE6 = field(7, field(1, b"\x06"))


def unpacked(values: npt.NDArray[np.generic], key: bytes) -> bytes:
    return b"".join(key + value.tobytes() for value in values)


def test_modern_blob(load: Load) -> None:
    weights = load(one_blob(modern([2, 3], SIX).SerializeToString()))
    assert weights.files[0].name == "net.caffemodel"
    assert dict(weights.types) == {"fc": "InnerProduct"}
    (blob,) = weights.layers["fc"]
    assert (blob.shape, blob.legacy, blob.absent) == ((2, 3), False, False)
    assert blob.data.dtype == np.float32
    assert blob.data.tobytes() == SIX.tobytes()
    assert blob.array().tolist() == SIX.reshape(2, 3).tolist()
    assert not blob.array().flags.writeable
    assert not blob.data.flags.owndata


@pytest.mark.parametrize("given", [("num", "channels", "height", "width"), ("channels", "width"), ("width",)])
def test_legacy_shape_as_soon_as_one_extent_is_given(load: Load, given: tuple[str, ...]) -> None:
    extents = {"num": 1, "channels": 3, "height": 1, "width": 2}
    proto = modern([6], []) if len(given) < 4 else modern([6], SIX)  # `shape` does not count beside them
    for name in given:
        setattr(proto, name, extents[name])
    (blob,) = load(one_blob(proto.SerializeToString())).layers["fc"]
    wanted = tuple(extents[n] if n in given else 0 for n in extents)
    assert (blob.shape, blob.legacy) == (wanted, True)
    assert blob.array().shape == wanted


@pytest.mark.parametrize(
    "payload",
    [
        field(5, SIX.tobytes()),
        field(5, SIX[:2].tobytes()) + field(5, SIX[2:].tobytes()),
        unpacked(SIX, b"\x2d"),
        unpacked(SIX, b"\xad\x00"),  # a tag of two bytes where one would do
        field(5, SIX[:1].tobytes()) + unpacked(SIX[1:4], b"\x2d") + field(5, b"") + field(5, SIX[4:].tobytes()),
        unpacked(SIX[:3], b"\x2d") + unpacked(SIX[1:4], b"\x35") + unpacked(SIX[3:], b"\x2d"),
    ],
    ids=["packed", "chunks", "unpacked", "long-tag", "mixed", "diff-between"],
)
@pytest.mark.parametrize("shape_first", [True, False])
def test_every_way_to_write_floats(load: Load, payload: bytes, shape_first: bool) -> None:
    message = SHAPE6 + payload if shape_first else payload + SHAPE6
    assert np.array(caffe_pb2.BlobProto.FromString(message).data, np.float32).tobytes() == SIX.tobytes()
    (blob,) = load(one_blob(message)).layers["fc"]
    assert blob.data.tobytes() == SIX.tobytes()
    assert (blob.array().shape, blob.data.flags.writeable) == ((6,), False)


def test_unpacked_floats_are_a_strided_view(load: Load) -> None:
    values = np.arange(-3000, 3000, dtype=np.float32)
    message = field(7, field(1, varint(20) + varint(300))) + unpacked(values, b"\x2d")
    (blob,) = load(one_blob(message)).layers["fc"]
    assert blob.data.strides == (5,)
    assert blob.array().strides == (1500, 5)
    assert (blob.array() == values.reshape(20, 300)).all()
    blob.release()
    assert (blob.array() == values.reshape(20, 300)).all()


@pytest.mark.parametrize("way", ["packed", "unpacked"])
def test_double_data_takes_precedence_over_data(load: Load, way: str) -> None:
    doubles = np.array([0.1, -1e300, 2.5])
    body = field(8, doubles.tobytes()) if way == "packed" else unpacked(doubles, b"\x41")
    message = field(5, SIX.tobytes()) + field(7, field(1, b"\x03")) + body
    (blob,) = load(one_blob(message)).layers["fc"]
    assert blob.data.dtype == np.float64
    assert blob.data.tolist() == doubles.tolist()
    assert blob.data.strides == ((8,) if way == "packed" else (9,))


def test_an_empty_double_data_is_ignored(load: Load) -> None:
    (blob,) = load(one_blob(field(8, b"") + modern([6], SIX).SerializeToString())).layers["fc"]
    assert blob.data.tobytes() == SIX.tobytes()


@pytest.mark.parametrize(("kind", "code"), [("<f8", 0), ("<f4", 1), ("<f2", 2)])
@pytest.mark.parametrize("type_first", [True, False])
def test_raw_values_of_nvidia(load: Load, kind: str, code: int, type_first: bool) -> None:
    values = np.array([1.5, -2.25, 0.1, -0.0, 6e-5, -512.0], kind)
    parts = [b"\x50" + varint(code), field(12, b"odd"), field(12, values.tobytes())]
    message = field(7, field(1, b"\x02\x03")) + b"".join(parts if type_first else reversed(parts))
    if not type_first:
        message += parts[2]  # the last of a field counts
    (blob,) = load(one_blob(message)).layers["fc"]
    assert (blob.shape, blob.data.dtype, blob.data.flags.writeable) == ((2, 3), np.dtype(kind), False)
    assert not blob.data.flags.owndata
    assert blob.array().tobytes() == values.tobytes()
    blob.release()
    blob.release_range(2, 4)
    assert blob.array().astype(np.float32).tolist() == values.reshape(2, 3).astype(np.float32).tolist()


@pytest.mark.parametrize("number", [5, 8])
def test_other_values_take_precedence_over_raw_ones(load: Load, number: int) -> None:
    values = np.array([0.5, -3.0, 8.0], "<f4" if number == 5 else "<f8")
    message = field(7, field(1, b"\x03")) + b"\x50\x02" + field(12, bytes(6)) + field(number, values.tobytes())
    (blob,) = load(one_blob(message)).layers["fc"]
    assert blob.data.tolist() == values.tolist()


def test_raw_differences_are_ignored(load: Load) -> None:
    message = modern([6], SIX).SerializeToString() + b"\x58\x02" + field(13, bytes(5))
    assert load(one_blob(message)).layers["fc"][0].data.tobytes() == SIX.tobytes()


def test_a_repeated_shape_is_merged(load: Load) -> None:
    message = field(7, field(1, b"\x02")) + field(5, SIX.tobytes()) + field(7, b"\x08\x03")
    assert load(one_blob(message)).layers["fc"][0].shape == (2, 3)


def test_scalars_and_empty_blobs(load: Load) -> None:
    assert load(one_blob(field(5, SIX[:1].tobytes()))).layers["fc"][0].array() == np.float32(1.5)
    (blob,) = load(one_blob(field(7, field(1, b"\x03\x00\x05")))).layers["fc"]
    assert blob.array().shape == (3, 0, 5)


def test_arrays_stay_valid_after_the_file_is_closed(load: Load) -> None:
    with load(one_blob(modern([2, 3], SIX).SerializeToString())) as weights:
        blob = weights.layers["fc"][0]
    weights.close()
    del weights
    blob.release()
    blob.release_range(0, 6)
    assert blob.data.tobytes() == SIX.tobytes()


def test_no_copy_of_the_values(load: Load) -> None:
    values = np.arange(2_000_000, dtype=np.float32) - 1e6
    data = one_blob(field(7, field(1, varint(2_000_000))) + field(5, values.tobytes()))
    weights = load(data)
    tracemalloc.start()
    again = open_weights(weights.files)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000
    assert (again.layers["fc"][0].data == values).all()


def test_a_file_beyond_four_gigabytes(tmp_path: Path) -> None:
    """A sparse file, which takes no space on disk: three layers of 500 million values each."""
    path, count = tmp_path / "net.caffemodel", 500_000_000
    with path.open("wb") as file:
        for name in (b"a", b"b", b"c"):
            head = field(7, field(1, varint(count))) + b"\x2a" + varint(4 * count)
            blob = b"\x3a" + varint(len(head) + 4 * count) + head
            layer = field(1, name)
            file.write(b"\xa2\x06" + varint(len(layer) + len(blob) + 4 * count) + layer + blob)
            file.seek(4 * count - 4, 1)
            file.write(np.float32(-ord(name)).tobytes())
    assert path.stat().st_size > 6_000_000_000
    with open_weights(path) as weights:
        assert {k: (v[0].shape, float(v[0].data[-1])) for k, v in weights.layers.items()} == {
            "a": ((count,), -97.0),
            "b": ((count,), -98.0),
            "c": ((count,), -99.0),
        }
        assert not weights.layers["c"][0].data[:9].any()


def resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="tells resident memory as Linux does")
@pytest.mark.parametrize("progressive", [False, True])
def test_release_gives_pages_back(load: Load, progressive: bool) -> None:
    values = np.arange(8_000_000, dtype=np.float32)
    data = one_blob(field(7, field(1, varint(len(values)))) + field(5, values.tobytes()))
    (blob,) = load(data).layers["fc"]
    del data
    before = resident_pages()
    assert blob.data.sum(dtype=np.float64) == values.sum(dtype=np.float64)
    touched = resident_pages() - before
    if progressive:
        for first in range(0, len(values), 77_777):  # not a multiple of a page
            blob.release_range(first, first + 77_777)
    else:
        blob.release()
    left = resident_pages() - before
    assert touched > 7000
    assert left < 300
    assert (blob.data[-3:] == values[-3:]).all()
