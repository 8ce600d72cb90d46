"""The reader of binary networks: no blobs, and unknown fields with path and value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from caffe2tf.diagnostics import Position
from caffe2tf.errors import ParseError
from caffe2tf.parse.binary import read_binary
from caffe2tf.parse.mapped import map_file
from caffe2tf.parse.wire import varint_bytes
from caffe2tf.proto import caffe_pb2
from tests.parse.messages import field

LAYER = 100


def number(at: int, value: int) -> bytes:
    return varint_bytes(at << 3) + varint_bytes(value)


def read(folder: Path, data: bytes) -> tuple[caffe_pb2.NetParameter, Sequence[tuple[str, object]]]:
    path = folder / "net.caffemodel"
    path.write_bytes(data)
    found = read_binary(map_file(path, what="network", suffixes=()), "given.caffemodel")
    net, unknown = found.net, found.unknown
    assert all(u.where == Position("given.caffemodel") and u.text == "" for u in unknown)
    return net, [(u.path, u.value) for u in unknown]


def test_blobs_of_each_age_are_left_out(tmp_path: Path) -> None:
    blob = caffe_pb2.BlobProto(num=1, data=[1.5, -2.5])
    net = caffe_pb2.NetParameter(name="net", input=["data"])
    net.layer.add(name="v2", type="ReLU", blobs=[blob, blob])
    net.layers.add(name="v1", blobs=[blob])
    net.layers.add().layer.MergeFrom(caffe_pb2.V0LayerParameter(name="v0", blobs=[blob]))
    have, unknown = read(tmp_path, net.SerializeToString())
    assert unknown == []
    del net.layer[0].blobs[:], net.layers[0].blobs[:], net.layers[1].layer.blobs[:]
    assert have == net


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (number(1003, 7), 7),
        (number(1003, 2**40), 2**40),
        (varint_bytes(1003 << 3 | 5) + b"\x00\x00\x80\x3f", 0x3F800000),
        (varint_bytes(1003 << 3 | 1) + b"\x01" + bytes(7), 1),
        (field(1003, b"max_pool"), "max_pool"),
        (field(1003, b""), ""),
        (field(1003, b"a\x00b"), "610062"),
        (field(1003, "\u00e9".encode()), "c3a9"),
        (field(1003, b"x" * 200), "x" * 64),
    ],
)
def test_values_of_every_kind(tmp_path: Path, payload: bytes, value: object) -> None:
    _, unknown = read(tmp_path, field(LAYER, field(1, b"a") + payload))
    assert unknown == [("layer[0].#1003", value)]


def test_a_group_is_kept_inside_a_block_and_refused_beside_blobs(tmp_path: Path) -> None:
    group = varint_bytes(1003 << 3 | 3) + varint_bytes(1003 << 3 | 4)
    _, unknown = read(tmp_path, field(LAYER, field(117, group)))
    assert unknown == [(f"layer[0].{caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_number[117].name}.#1003", "(group)")]
    with pytest.raises(ParseError, match="field 1003 is a group, which no Caffe message has"):
        read(tmp_path, field(LAYER, group))


def test_the_path_of_an_unknown_field(tmp_path: Path) -> None:
    parameters = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
    pooling, param = parameters["pooling_param"].number, parameters["param"].number
    layer = field(1, b"b") + field(param, b"") + field(param, field(90, b"deep")) + field(pooling, number(1, 9))
    data = field(LAYER, field(1, b"a")) + field(LAYER, layer) + field(8000, b"net")
    _, unknown = read(tmp_path, data)
    assert sorted(unknown, key=str) == [
        ("#8000", "net"),
        ("layer[1].param[1].#90", "deep"),
        ("layer[1].pooling_param.pool", 9),  # a method of pooling that the schema does not have
    ]


def test_a_known_number_of_another_type_is_not_named(tmp_path: Path) -> None:
    """Forks used numbers that Caffe later gave to other fields."""
    place = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name["pooling_param"].number
    _, unknown = read(tmp_path, field(LAYER, number(place, 3)))
    assert unknown == [(f"layer[0].#{place}", 3)]


def test_strings_that_are_not_utf8_are_read(tmp_path: Path) -> None:
    layer = field(1, b"conv\xe9") + field(2, b"ReLU") + field(3, b"ok") + field(3, b"\xfc\xfc") + field(4, b"top")
    net, unknown = read(tmp_path, field(1, b"n\xe4me") + field(LAYER, layer))
    (read_layer,) = net.layer
    assert unknown == []
    assert (net.name, read_layer.name) == ("n\u00e4me", "conv\u00e9")
    assert list(read_layer.bottom) == ["ok", "\u00fc\u00fc"]
    assert list(read_layer.top) == ["top"]


@pytest.mark.parametrize(
    "data",
    [
        field(LAYER, field(1, b"a"))[:-1],
        field(LAYER, b"\x0a\x7fa"),
        field(LAYER, field(117, b"\x0a\x7fa")),
        b"\x07",
    ],
    ids=["cut", "longer than its layer", "longer than its block", "no kind of field"],
)
def test_a_damaged_file_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ParseError, match=r"^given\.caffemodel: "):
        read(tmp_path, data)
