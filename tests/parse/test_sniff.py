"""Telling definitions in text, binary networks and other files apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from caffe2tf.errors import ParseError
from caffe2tf.parse.mapped import MappedFile, map_file
from caffe2tf.parse.sniff import INSTEAD, is_text, require_binary_network
from caffe2tf.proto import caffe_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

NET, LAYER = caffe_pb2.NetParameter, caffe_pb2.LayerParameter
BLOB = caffe_pb2.BlobProto(num=1, channels=3, height=2, width=1, data=[-1.5] * 6)


def mapped(folder: Path, data: bytes | Message) -> MappedFile:
    path = folder / "given"
    path.write_bytes(data if isinstance(data, bytes) else data.SerializeToString())
    return map_file(path, what="network definition", suffixes=())


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'name: "net"', True),
        (b"layer{}", True),
        (b"layers<name:'x'>", True),
        (b"\xef\xbb\xbfname : 'x'", True),
        (b"\n# a note \xe9\n\t# another\nlayer {", True),
        (b"name: 'x\x00\x01' layer { \x02", True),  # meant as text, and damaged
        (b"#" * 2000, True),
        (b"nothing that text format knows", True),
        (b"\xe4\xf6\xfc in Latin-1", True),
        (NET(name="net", layer=[LAYER(name="a", type="ReLU")]), False),
        (NET(layer=[LAYER(name="a" * 40)]), False),
        (NET(name="layer: 1" * 9, layer=[LAYER()]), False),  # b"\nHlayer: 1..."
        (NET(name="VGG: " + "x" * 60, input=["data"]), False),
        (NET(name="VGG<" + "x" * 100, layers=[caffe_pb2.V1LayerParameter()]), False),
        (b"\nHlayer: 1 " + "\u00e2".encode() * 60, True),
        (b"\nH:", True),
        (b"layer \x01 {", False),
        (b"  <!DOCTYPE html>", False),
        (b"<html><body>", False),
        (b"version https://git-lfs.github.com/spec/v1", False),
        (b"PK\x03\x04", False),
        (b"BZh91AY", False),
        (b"\x89HDF\r\n\x1a\n", False),
    ],
)
def test_text_and_binary_are_told_apart(tmp_path: Path, data: bytes | Message, text: bool) -> None:
    assert is_text(mapped(tmp_path, data)) == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_text_in_16_bits(tmp_path: Path, encoding: str) -> None:
    data = "\ufeff".encode("utf-16-le") * (encoding != "utf-16") + "layer { }".encode(encoding)
    with pytest.raises(ParseError, match="given: this text is saved as UTF-16; save it as UTF-8"):
        is_text(mapped(tmp_path, data))


def test_time_is_linear_in_the_number_of_blanks_and_comments(tmp_path: Path) -> None:
    """Of what is looked at, which is short."""
    assert is_text(mapped(tmp_path, b"# \n" * 400_000 + b" " * 400_000))


@pytest.mark.parametrize(
    "net",
    [
        NET(layer=[LAYER(name="a")]),
        NET(layers=[caffe_pb2.V1LayerParameter(name="a")]),
        NET(name="n", input=["data"], input_dim=[1, 3, 4, 5], layer=[LAYER(name="a", blobs=[BLOB])]),
    ],
)
def test_binary_networks_of_each_age_pass(tmp_path: Path, net: Message) -> None:
    require_binary_network(mapped(tmp_path, net))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x89HDF\r\n\x1a\n", "this is an HDF5 file, which holds weights but no definition"),
        (caffe_pb2.SolverState(iter=3, learned_net="x"), "this is a solver state, which holds no definition"),
        (BLOB, "this is a single blob, such as a mean image"),
        (NET(name="net", input=["data"]), "this is not a Caffe network: it holds no layers"),
        (caffe_pb2.Datum(channels=3, label=7), "this is not a Caffe network"),
        (NET(layer=[LAYER(name="a", blobs=[BLOB])]).SerializeToString()[:-3], "this is neither text nor a complete"),
        (b"\x00" * 9, "this is neither text nor a complete .caffemodel"),
        (b"\x93NUMPY\x01\x00", "this is a NumPy array"),
    ],
)
def test_the_message_about_another_file_says_what_it_is(tmp_path: Path, data: bytes | Message, said: str) -> None:
    file = mapped(tmp_path, data)
    with pytest.raises(ParseError) as caught:
        require_binary_network(file)
    assert str(caught.value).startswith(f"{file.path}: {said}")
    assert str(caught.value).endswith(INSTEAD)
