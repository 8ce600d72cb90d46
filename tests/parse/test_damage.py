"""Weight files that are damaged, crafted or of another kind are refused, with a message that helps."""

from __future__ import annotations

import gzip
import random
import resource
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from google.protobuf.message import DecodeError, Message

from caffe2tf.errors import ParseError
from caffe2tf.parse.weights import open_weights
from caffe2tf.proto import caffe_pb2
from tests.parse.messages import field, varint

BLOB, NET, STATE = caffe_pb2.BlobProto, caffe_pb2.NetParameter, caffe_pb2.SolverState
V1 = caffe_pb2.V1LayerParameter


def shaped(*dims: int, values: int = 0) -> bytes:
    proto = BLOB(shape=caffe_pb2.BlobShape(dim=dims), data=[-1.5] * values)
    return proto.SerializeToString()


def layer_with(*blobs: bytes, name: bytes = b"conv1") -> bytes:
    return field(100, field(1, name) + field(2, b"Convolution") + b"".join(field(7, b) for b in blobs))


def message(tmp_path: Path, data: bytes, name: str = "net.caffemodel") -> str:
    """Return the message of the error when such a file is opened."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ParseError) as caught:
        open_weights(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def small_net() -> bytes:
    blobs = [BLOB(shape=caffe_pb2.BlobShape(dim=[2, 3]), data=[1, -2, 3, -4, 5, -6]), BLOB(num=2, data=[7, -8])]
    blobs[1].channels = blobs[1].height = blobs[1].width = 1
    older = caffe_pb2.V0LayerParameter(name="v0", type="conv", blobs=blobs)
    doubles = BLOB(shape=caffe_pb2.BlobShape(dim=[2]), double_data=[0.5, -0.25])
    unpacked = field(7, field(1, b"\x03")) + b"".join(b"\x2d" + np.float32(v).tobytes() for v in (1, -2, 3))
    net = NET(
        name="small",
        layers=[V1(layer=older, bottom=["a"]), V1(name="v1", type=V1.RELU, blobs=blobs)],
        layer=[caffe_pb2.LayerParameter(name="v2", type="InnerProduct", bottom=["b"], blobs=[doubles, *blobs])],
    )
    return net.SerializeToString() + layer_with(unpacked, name=b"loose")


@pytest.mark.parametrize(
    ("blob", "wanted"),
    [
        (shaped(2, 3, values=5), "it holds 5 values, but its shape 2x3 needs 6"),
        (shaped(2, 3), "it holds 0 values, but its shape 2x3 needs 6"),
        (b"", "it holds 0 values, but its shape (scalar) needs 1"),
        (shaped(2, -3, values=6), "the extent -3 of its shape is negative"),
        (b"\x08\x02\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "the extent -1 of its shape is negative"),
        (shaped(65536, 65536), "65536x65536 is larger than Caffe allows"),
        (shaped(0, 2**40), "larger than Caffe allows"),
        (shaped(2**62, 2**62, 4), "larger than Caffe allows"),
        (shaped(*[1] * 33, values=1), "it has 33 axes, and Caffe allows 32"),
        (shaped(3) + field(5, bytes(11)), "11 bytes of values, not a multiple of 4"),
        (shaped(1) + field(8, bytes(12)), "12 bytes of values, not a multiple of 8"),
        (field(7, b"\x0a\x05\x01"), "a malformed BlobProto"),
        (field(7, b"\x08\x01" * 40_000), "80000 bytes of shape"),
        (b"\x13", "field 2 is a group"),
        (b"\x2d\x00\x00", "field 5 takes 4 bytes where 2 are left"),
    ],
)
def test_names_layer_and_blob_and_byte(tmp_path: Path, blob: bytes, wanted: str) -> None:
    text = message(tmp_path, field(1, b"net") + layer_with(shaped(2, values=2), blob))
    assert text.startswith("layer 'conv1', blob 1: ")
    assert wanted in text
    assert "(at byte " in text
    assert text.endswith("copy or download it again")


def test_values_in_the_form_of_another_caffe(tmp_path: Path) -> None:
    text = message(tmp_path, layer_with(shaped(2, 3) + b"\x50\x02" + field(15, bytes(12))))
    assert "unknown fields (15) may hold them" in text
    assert text.endswith("save the network again with the Caffe that wrote it, as float32")


@pytest.mark.parametrize(
    ("blob", "wanted"),
    [
        (b"\x50\x02" + field(12, bytes(11)), "11 bytes of raw values (raw_data), not 6 values of 2 bytes"),
        (b"\x50\x01" + field(12, bytes(12)), "12 bytes of raw values (raw_data), not 6 values of 4 bytes"),
        (b"\x50\x00" + field(12, b""), "0 bytes of raw values (raw_data), not 6 values of 8 bytes"),
        (b"\x50\x03" + field(12, bytes(24)), "raw values (raw_data) of type INT, which no layer uses"),
        (b"\x50\x63" + field(12, bytes(24)), "raw values (raw_data) of no known type"),
        (field(12, bytes(24)), "raw values (raw_data) of no known type (raw_data_type)"),
        (b"\x50\x01" + field(5, bytes(8)) + field(12, bytes(24)), "it holds 2 values, but its shape 2x3 needs 6"),
    ],
)
def test_raw_values_that_are_refused(tmp_path: Path, blob: bytes, wanted: str) -> None:
    text = message(tmp_path, layer_with(shaped(2, 3) + blob))
    assert text.startswith("layer 'conv1', blob 0: ")
    assert wanted in text
    if "type" in wanted:
        assert text.endswith("save the network again with NVIDIA's Caffe, as FLOAT16, FLOAT or DOUBLE")


def test_the_message_about_a_truncated_file_names_its_last_layer(tmp_path: Path) -> None:
    data = field(1, b"net") + layer_with(shaped(2, values=2), shaped(50, values=50))
    text = message(tmp_path, data[:-100])
    assert text.startswith("layer 'conv1', blob 1: field 100 declares 2")
    older = field(2, field(1, field(1, b"old1") + field(50, shaped(50, values=50))))
    assert message(tmp_path, (data + older)[:-9]).startswith("layer 'old1', blob 0: field 2 declares ")


def test_refuses_every_truncation(tmp_path: Path) -> None:
    data = small_net()
    ends = {sum(len(part) for part in parts) for parts in _prefixes(data)}
    path = tmp_path / "net.caffemodel"
    for end in range(len(data)):
        path.write_bytes(data[:end])
        if end in ends:
            open_weights(path)
        else:
            with pytest.raises(ParseError):
                open_weights(path)


def _prefixes(data: bytes) -> list[list[bytes]]:
    """Return the layers of every prefix of a file that is valid: a file may end after any layer."""
    net = NET.FromString(data)
    parts = [field(1, b"small")]
    parts += [field(2, v.SerializeToString()) for v in net.layers]
    parts += [field(100, net.layer[0].SerializeToString())]
    return [parts[: i + 2] for i in range(len(parts) - 1)]


@pytest.mark.parametrize("seed", range(4))
def test_survives_flipped_bytes(tmp_path: Path, seed: int) -> None:
    """No crash, hang or other exception; files that load give the same values as protobuf."""
    data = small_net()
    generator = random.Random(seed)
    path = tmp_path / "net.caffemodel"
    loaded = 0
    for _ in range(500):
        flipped = bytearray(data)
        for _ in range(generator.choice([1, 1, 1, 2, 5])):
            flipped[generator.randrange(len(data))] = generator.choice(
                [0, 1, 0x7F, 0x80, 0xFF, generator.randrange(256)]
            )
        path.write_bytes(flipped)
        try:
            weights = open_weights(path)
        except ParseError:
            continue
        loaded += 1
        found = {name: [_bytes(blob.array()) for blob in blobs] for name, blobs in weights.layers.items()}
        assert found == _by_protobuf(bytes(flipped), found)
    assert loaded > 50


def _bytes(values: npt.ArrayLike) -> bytes:
    """Return the bits of values with all NaNs equal: older protobuf changes signalling NaNs to quiet ones."""
    array = np.asarray(values)
    return np.where(np.isnan(array), array.dtype.type("nan"), array).tobytes()


def _by_protobuf(data: bytes, otherwise: dict[str, list[bytes]]) -> dict[str, list[bytes]]:
    try:
        net = NET.FromString(data)
    except DecodeError:
        return otherwise  # a field that we do not look at is damaged
    found = {}
    fields = NET.DESCRIPTOR.fields_by_name
    assert fields["layers"].number < fields["layer"].number  # so that the order below is the file's
    layers: list[Any] = [v1.layer if v1.HasField("layer") else v1 for v1 in net.layers]
    for named in [*layers, *net.layer]:
        arrays = [
            _bytes(np.array(b.double_data, "<f8") if b.double_data else np.array(b.data, "<f4")) for b in named.blobs
        ]
        if arrays:
            name = named.name
            found[name.decode("latin-1") if isinstance(name, bytes) else name] = arrays
    return found


GIANT = [
    layer_with(shaped(2**31 - 1)),
    layer_with(b"\x2a" + varint(2**62)),
    b"\xa2\x06" + varint(2**40) + b"\x0a\x01c",
    layer_with(b"", *[b""] * 100_000),
    b"\xa2\x06\x00" * 700_000,
    layer_with(field(5, b"") * 600_000 + shaped(0)),
    field(100, b"\x0a\x01c" * 700_000),
]


@pytest.mark.parametrize("data", GIANT, ids=range(len(GIANT)))
def test_declared_sizes_cost_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(data)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(ParseError):
        open_weights(path)
    assert time.monotonic() - began < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes


def test_a_giant_shape_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(layer_with(shaped(2**31 - 1)))
    tracemalloc.start()
    with pytest.raises(ParseError, match="needs 2147483647"):
        open_weights(path)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


FOREIGN: dict[str, tuple[bytes | Message, str]] = {
    "solver state": (STATE(iter=9, learned_net="x/net_iter_9.caffemodel"), "they say 'x/net_iter_9.caffemodel'"),
    "solver state, nameless": (STATE(iter=9, history=[BLOB(num=1)]), "the .caffemodel that was saved with it"),
    "mean": (BLOB(num=1, channels=3, height=2, width=2, data=[-1.5] * 12), "a single blob, such as a mean image"),
    "mean, modern": (shaped(3, 2, values=6), "a single blob, such as a mean image"),
    "no layers": (NET(name="net", input=["data"], input_dim=[1, 3, 2, 2]), "it holds no layers"),
    "prototxt": (b'name: "net"\nlayer {\n  name: "conv1"\n}\n', "this is a network definition (prototxt)"),
    "text": (b"train_net: 'x'\nbase_lr: 0.1\n", "this is a text file"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "run `git lfs pull`"),
    "web page": (b"\n<!DOCTYPE html><html><body>404</body></html>", "a web page"),
    "gzip": (gzip.compress(small_net()), "unpack it first"),
    "numpy": (b"\x93NUMPY\x01\x00v\x00{}", "a NumPy array"),
    "zip": (b"PK\x03\x04\x14\x00\x00\x00", "a zip archive"),
    "pickle": (b"\x80\x02}q\x00.", "a Python pickle"),
    "noise": (bytes(range(255, 0, -1)), "not a trained Caffe network"),
    "empty": (b"", "the file is empty"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_the_message_about_another_file_says_what_it_is(tmp_path: Path, kind: str) -> None:
    content, wanted = FOREIGN[kind]
    data = content.SerializeToString() if isinstance(content, Message) else content
    text = message(tmp_path, data, "given")
    assert wanted.replace("they say ", "the file that it names, ") in text


def test_paths_that_are_not_files(tmp_path: Path) -> None:
    (tmp_path / "a.caffemodel").touch()
    for path, wanted in {
        tmp_path: "this is a directory, but the trained weights must be a file; it contains a.caffemodel",
        tmp_path / "b.caffemodel": "no such file; check the path of the trained weights",
        tmp_path / "a.caffemodel" / "b": "cannot be read",
        Path("/dev/null"): "not a regular file",
        Path("a\0b"): "cannot be read",
    }.items():
        with pytest.raises(ParseError) as caught:
            open_weights(path)
        assert wanted in str(caught.value)
