"""The walker of the wire format, compared with protobuf."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe2tf.parse.wire import DELIMITED, FIXED32, FIXED64, VARINT, Wire, WireError, parse, structure, tag
from caffe2tf.proto import caffe_pb2


def walk(data: bytes) -> list[tuple[int, int, bytes]]:
    return [(f.number, f.wire, data[f.start : f.stop]) for f in Wire(data).fields(0, len(data))]


def test_walks_every_wire_type() -> None:
    data = b"\x08\x96\x01" + b"\x12\x03abc" + b"\x1d\x01\x02\x03\x04" + b"\x21" + bytes(range(8)) + b"\xa2\x06\x00"
    assert walk(data) == [
        (1, VARINT, b"\x96\x01"),
        (2, DELIMITED, b"abc"),
        (3, FIXED32, b"\x01\x02\x03\x04"),
        (4, FIXED64, bytes(range(8))),
        (100, DELIMITED, b""),
    ]


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 18, 81, 1000, 200_000])
def test_a_run_of_equal_tags_is_one_field(count: int) -> None:
    values = np.arange(count, dtype="<f4") - 7
    records = np.zeros(count, np.dtype([("tag", "u1"), ("value", "<f4")]))
    records["tag"], records["value"] = 0x2D, values
    data = b"\x08\x05" + records.tobytes() + b"\x10\x06"
    first, run, last = Wire(data).fields(0, len(data))
    assert (first.number, last.number, run.number, run.elements, run.step) == (1, 2, 5, count, 5)
    assert (run.tag, run.start, run.stop, last.tag) == (2, 3, 2 + 5 * count, 2 + 5 * count)


def test_a_run_stops_at_another_tag_and_at_the_end_of_its_message() -> None:
    data = b"\x2d\x00\x00\x80\x3f" * 20 + b"\x35\x00\x00\x80\x3f" + b"\x2d\x00\x00\x80\x3f" * 3
    assert [(f.number, f.elements) for f in Wire(data).fields(0, len(data))] == [(5, 20), (6, 1), (5, 3)]
    assert [(f.number, f.elements) for f in Wire(data).fields(0, 35)] == [(5, 7)]
    with pytest.raises(WireError, match=r"field 5 takes 4 bytes where 3 are left \(at byte 35\)"):
        list(Wire(data).fields(0, 39))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x08" + b"\xff" * 10 + b"\x01", r"more than 10 bytes \(at byte 1\)"),
        (b"\x08\x80", r"cut off \(at byte 1\)"),
        (b"\x80", r"cut off \(at byte 0\)"),
        (b"\x12\x05ab", r"field 2 declares 5 bytes where 2 are left \(at byte 0\)"),
        (b"\x12" + b"\xff" * 9 + b"\x01", r"declares 18446744073709551615 bytes"),
        (b"\x15\x00\x00", "takes 4 bytes where 2 are left"),
        (b"\x11\x00\x00", "takes 8 bytes where 2 are left"),
        (b"\x13\x14", r"field 2 is a group"),
        (b"\x14", r"field 2 is a group"),
        (b"\x16", "wire type 6"),
        (b"\x17", "wire type 7"),
        (b"\x00\x00", "numbered 0"),
        (b"\xf8\xff\xff\xff\xff\x01\x00", "numbered"),
    ],
)
def test_the_message_says_what_is_malformed_and_where(data: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message) as caught:
        walk(data)
    assert "copy or download it again" in str(caught.value)


def test_the_number_of_fields_is_limited() -> None:
    data = b"\x08\x01" * 50
    assert len(list(Wire(data, field_limit=50).fields(0, 100))) == 50
    with pytest.raises(WireError, match="more fields than any Caffe file"):
        list(Wire(data, field_limit=49).fields(0, 100))


def test_a_file_of_tiny_fields_is_refused_in_seconds() -> None:
    data = b"\x08\x01" * 10_000_000
    began = time.monotonic()
    with pytest.raises(WireError, match="more fields"):
        for _ in Wire(data).fields(0, len(data)):
            pass
    assert time.monotonic() - began < 60


@settings(max_examples=300)
@given(st.binary(max_size=40))
def test_any_bytes_walk_or_raise(data: bytes) -> None:
    try:
        fields = walk(data)
    except WireError:
        return
    # protobuf also accepts whatever the walker accepts (as unknown fields).
    caffe_pb2.BlobProtoVector.FromString(data if all(n != 1 for n, _, _ in fields) else b"")


def test_fields_come_from_the_schema() -> None:
    assert tag(caffe_pb2.NetParameter, "layer") == (100, DELIMITED)
    assert tag(caffe_pb2.BlobProto, "data") == (5, FIXED32)
    assert tag(caffe_pb2.BlobProto, "double_data") == (8, FIXED64)
    assert tag(caffe_pb2.V1LayerParameter, "type") == (5, VARINT)
    assert tag(caffe_pb2.V0LayerParameter, "blobs") == (50, DELIMITED)


def test_parses_some_of_the_fields_and_merges_repeated_ones() -> None:
    blob = caffe_pb2.BlobProto(shape=caffe_pb2.BlobShape(dim=[3, 2]), data=[1.0])
    data = blob.SerializeToString() + caffe_pb2.BlobProto(shape=caffe_pb2.BlobShape(dim=[5])).SerializeToString()
    wire = Wire(data)
    chosen = [f for f in wire.fields(0, len(data)) if f.number == 7]
    found = parse(caffe_pb2.BlobProto, wire, chosen)
    assert list(found.shape.dim) == [3, 2, 5]
    assert not found.data


def test_parse_refuses_malformed_content() -> None:
    data = b"\x3a\x02\x0a\x05"  # a shape whose packed extents overrun it
    wire = Wire(data)
    with pytest.raises(WireError, match="malformed BlobProto"):
        parse(caffe_pb2.BlobProto, wire, list(wire.fields(0, len(data))))


def net_of_all_ages() -> caffe_pb2.NetParameter:
    blobs = [caffe_pb2.BlobProto(num=1, channels=2, data=[1.5, -2.5]), caffe_pb2.BlobProto(diff=[3.0])]
    older = caffe_pb2.V0LayerParameter(name="v0", type="conv", num_output=5, blobs=blobs, blobs_lr=[1, 2])
    return caffe_pb2.NetParameter(
        name="ages",
        input=["data"],
        input_dim=[2, 3, 5, 7],
        layers=[
            caffe_pb2.V1LayerParameter(bottom=["data"], top=["a"], layer=older),
            caffe_pb2.V1LayerParameter(name="v1", type=caffe_pb2.V1LayerParameter.INNER_PRODUCT, blobs=blobs[:1]),
        ],
        layer=[caffe_pb2.LayerParameter(name="v2", type="PReLU", blobs=blobs, bottom=["a"])],
    )


def test_structure_is_the_network_without_its_blobs() -> None:
    net = net_of_all_ages()
    wanted = caffe_pb2.NetParameter()
    wanted.CopyFrom(net)
    wanted.layers[0].layer.ClearField("blobs")
    wanted.layers[1].ClearField("blobs")
    wanted.layer[0].ClearField("blobs")
    data = net.SerializeToString()
    assert wanted != net
    assert caffe_pb2.NetParameter.FromString(structure(data)) == wanted
    assert structure(structure(data)) == structure(data) == wanted.SerializeToString()


def test_structure_keeps_unknown_fields_and_order() -> None:
    layer = b"\xea\xf4\x03\x03xyz" + b"\x0a\x01c" + b"\x3a\x00" + b"\x12\x01T"  # unknown, name, blobs, type
    data = b"\xc0\x3e\x07" + b"\xa2\x06" + bytes([len(layer)]) + layer
    kept = layer.replace(b"\x3a\x00", b"")
    assert structure(data) == b"\xc0\x3e\x07" + b"\xa2\x06" + bytes([len(kept)]) + kept


def test_structure_copies_no_weights() -> None:
    layer = caffe_pb2.LayerParameter(name="big", blobs=[caffe_pb2.BlobProto(data=[1.0] * 2_000_000)])
    data = caffe_pb2.NetParameter(layer=[layer]).SerializeToString()
    tracemalloc.start()
    found = structure(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(data), len(found)) > (8_000_000, 0)
    assert peak < 100_000


def test_structure_refuses_every_truncation() -> None:
    data = net_of_all_ages().SerializeToString()
    whole = {0}
    whole |= {f.stop for f in Wire(data).fields(0, len(data))}
    for end in range(len(data)):
        if end in whole:
            caffe_pb2.NetParameter.FromString(structure(data[:end]))
        else:
            with pytest.raises(WireError):
                structure(data[:end])
