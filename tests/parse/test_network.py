"""`read_network`: definitions in text and binary, and the messages about other files."""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks.networks import resnet50
from caffe2tf.diagnostics import Position
from caffe2tf.errors import Caffe2TFError, NetworkError, ParseError
from caffe2tf.parse import read_network
from caffe2tf.proto import caffe_pb2

TEXT = b"""name: "net"
input: "data"
input_dim: 2 input_dim: 3 input_dim: 5 input_dim: 7
state { stage: "s" }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 strange: 1 } }
  layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
odd: 1
"""


def written(folder: Path, data: bytes, name: str = "net.prototxt") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refusal(path: Path | str) -> str:
    with pytest.raises(ParseError) as caught:
        read_network(path)
    return str(caught.value)


def test_a_definition_in_text(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT)
    definition = read_network(path)
    assert (definition.name, definition.file) == ("net", str(path))
    assert definition.state.stages == ("s",)
    assert [(x.name, x.type, x.bottoms, x.tops) for x in definition.layers] == [
        ("input", "Input", (), ("data",)),
        ("conv", "Convolution", ("data",), ("conv",)),
        ("relu", "ReLU", ("conv",), ("conv",)),
    ]
    assert [str(x.where) for x in definition.layers] == [f"{path}:2:1", f"{path}:5:1", f"{path}:7:3"]
    assert [(u.path, u.where.line) for x in definition.layers for u in x.unknown] == [("convolution_param.strange", 6)]
    assert [(u.path, u.value, u.where.line) for u in definition.unknown] == [("odd", 1, 8)]


def test_text_is_recognised_by_content_not_by_name(tmp_path: Path) -> None:
    assert len(read_network(written(tmp_path, TEXT, "net.caffemodel")).layers) == 3


def trained() -> caffe_pb2.NetParameter:
    """Return a network with weights."""
    blob = caffe_pb2.BlobProto(data=np.linspace(-1, 1, 999).tolist(), shape=caffe_pb2.BlobShape(dim=[27, 37]))
    net = caffe_pb2.NetParameter(name="GoogLeNet")
    net.layer.add(name="fc", type="InnerProduct", bottom=["a"], blobs=[blob]).inner_product_param.num_output = 27
    return net


def test_a_binary_gives_its_structure_without_blobs(tmp_path: Path) -> None:
    path = written(tmp_path, trained().SerializeToString(), "any.prototxt")
    definition = read_network(path)
    (layer,) = definition.layers
    assert (definition.name, layer.name, layer.message.inner_product_param.num_output) == ("GoogLeNet", "fc", 27)
    assert not layer.message.blobs
    assert (layer.where, str(layer.where)) == (Position(str(path), layer=0), f"{path}[0]")


def test_a_binary_of_each_age_gives_modern_layers(tmp_path: Path) -> None:
    blob = caffe_pb2.BlobProto(num=2, data=[1.0, -2.0])
    net = caffe_pb2.NetParameter(input=["a"], input_dim=[2, 3, 5, 7])
    old = net.layers.add(bottom=["a"], top=["p"])
    old.layer.name, old.layer.type, old.layer.pad = "pad", "padding", 3
    old = net.layers.add(bottom=["p"], top=["c"])
    old.layer.name, old.layer.type = "conv", "conv"
    old.layer.blobs.append(blob)
    net.layers.add(name="relu", type=caffe_pb2.V1LayerParameter.RELU, bottom=["c"], top=["c"], blobs=[blob])
    net.layer.add(name="last", type="Softmax", bottom=["c"], blobs=[blob])
    layers = read_network(written(tmp_path, net.SerializeToString())).layers
    assert [(x.name, x.type) for x in layers] == [
        ("input", "Input"),
        ("conv", "Convolution"),
        ("relu", "ReLU"),
        ("last", "Softmax"),
    ]
    assert list(layers[1].message.convolution_param.pad) == [3]
    assert not any(x.message.blobs for x in layers)


def test_unknown_fields_of_a_binary_are_kept(tmp_path: Path) -> None:
    net = trained()
    layer = net.layer[0].SerializeToString()
    layer += b"\xda\x3e\x02hi"  # field 1003, two bytes
    layer += b"\xca\x07\x02\x08\x09"  # pooling_param (121) { pool: 9 }
    layer += b"\x1a\x02\xe9!"  # bottom: bytes that are not UTF-8
    layer = b"\xa2\x06" + bytes([len(layer) & 0x7F | 0x80, len(layer) >> 7]) + layer
    (read,) = read_network(written(tmp_path, layer)).layers
    assert sorted((u.path, u.value) for u in read.unknown) == [("#1003", "hi"), ("pooling_param.pool", 9)]
    assert read.bottoms == ("a", "\u00e9!")


def test_text_with_blobs_is_read_without_them(tmp_path: Path) -> None:
    definition = read_network(written(tmp_path, b"layer { name: 'x' blobs { data: [1, -2] } }"))
    assert not definition.layers[0].message.blobs
    assert any("`blobs`" in str(note) for note in definition.notes)


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"", ["empty"]),
        (b"# nothing\n", ["no layers", "pass the network definition"]),
        (b'name: "x"', ["no layers"]),
        (b"name: 'x' base: 3", ["no layers", "`base`"]),
        (b'net: "train_val.prototxt" base_lr: 0.1', ["solver", "'train_val.prototxt'"]),
        (b"base_lr: 0.1 max_iter: 3", ["solver", "`base_lr`"]),
        (b"<!DOCTYPE html>\n<html>", ["web page"]),
        (b"version https://git-lfs.github.com/spec/v1\n", ["git lfs pull"]),
        (b"PK\x03\x04abc", ["zip"]),
        (b"\x1f\x8b\x08\x00", ["gzip"]),
        ("layer {}".encode("utf-16"), ["UTF-16", "UTF-8"]),
        (b"\x00\x00\x00", ["neither text nor a complete .caffemodel"]),
        (trained().SerializeToString()[:-7], ["neither text nor a complete .caffemodel", "download it again"]),
        (caffe_pb2.NetParameter(name="only").SerializeToString(), ["no layers"]),
        (caffe_pb2.SolverState(iter=3, learned_net="x").SerializeToString(), ["solver state"]),
        (caffe_pb2.BlobProto(num=1, channels=3, data=[0.5, -1]).SerializeToString(), ["mean image"]),
        (b"layer { name: 'x\x00' \x00 }", [":1:20: ", "'\\x00'"]),
        (b"layer {\n  name: x }", [":2:9: ", "quotes"]),
    ],
)
def test_the_message_about_another_file_says_what_it_is(tmp_path: Path, data: bytes, parts: list[str]) -> None:
    path = written(tmp_path, data)
    message = refusal(path)
    assert message.startswith(str(path))
    assert [part for part in parts if part not in message] == []


def test_hdf5_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.caffemodel.h5"
    with h5py.File(path, "w") as file:
        file["data"] = [1.0]
    assert "HDF5" in refusal(path)


def test_missing_files_and_directories_are_refused(tmp_path: Path) -> None:
    written(tmp_path, TEXT, "deploy.prototxt")
    assert "no such file" in refusal(tmp_path / "none.prototxt")
    assert "directory" in refusal(str(tmp_path))
    assert "deploy.prototxt" in refusal(tmp_path)


def test_required_fields_that_are_missing_are_all_named(tmp_path: Path) -> None:
    text = b"layer { name: 'a' type: 'Clip' clip_param { min: -1 } }\nlayer { name: 'b' clip_param { } }"
    with pytest.raises(NetworkError) as caught:
        read_network(written(tmp_path, text))
    found = [(p.layer, p.where.line if p.where else 0, p.message.split(" ")[0]) for p in caught.value.problems]
    assert found == [("a", 1, "`clip_param.max`"), ("b", 2, "`clip_param.min`"), ("b", 2, "`clip_param.max`")]


def test_damaged_definitions_raise_only_our_errors(tmp_path: Path, rng: np.random.Generator) -> None:
    pieces = [b"{", b"}", b'"', b"[", b"<", b"\\", b"\0", b"\xff", b"layers {", b"input: 'x'", b"-", b"#", b"1e9"]
    binary = trained().SerializeToString()[:120]
    for index in range(400):
        data = bytearray(binary if index % 4 == 0 else TEXT)
        for _ in range(int(rng.integers(1, 5))):
            at = int(rng.integers(len(data)))
            data[at : at + int(rng.integers(0, 12))] = pieces[int(rng.integers(len(pieces)))]
        path = written(tmp_path, bytes(data))
        try:
            read_network(path)
        except Caffe2TFError as error:
            str(error).encode()


def test_resnet_is_read_in_a_fraction_of_a_second(tmp_path: Path) -> None:
    path = written(tmp_path, resnet50().prototxt.encode())
    times = []
    for _ in range(5):
        start = time.perf_counter()
        definition = read_network(path)
        times.append(time.perf_counter() - start)
    assert len(definition.layers) > 200
    assert min(times) < 0.2  # 0.01 s on an idle machine
