"""Layers of .caffemodel files of any age: their names, types and blobs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from caffe2tf.proto import caffe_pb2
from tests.parse.conftest import Load
from tests.parse.messages import field, modern

SIX = np.array([1.5, -2.25, 3.0, -0.0, 1e-30, -7e20], np.float32)


def test_layers_of_all_ages_in_one_file(load: Load) -> None:
    kinds = caffe_pb2.V1LayerParameter
    older = caffe_pb2.V0LayerParameter(name="v0", type="conv", blobs=[modern([2, 3], SIX), modern([2], SIX[:2])])
    net = caffe_pb2.NetParameter(
        name="ages",
        layers=[
            kinds(layer=older, name="not this one", blobs=[modern([1], [9])]),
            kinds(name="v1", type=kinds.SIGMOID_CROSS_ENTROPY_LOSS, blobs=[modern([3, 2], SIX)]),
            kinds(name="v1 relu", type=kinds.RELU),
        ],
        layer=[caffe_pb2.LayerParameter(name="v2", type="MyOwn", blobs=[modern([6], -SIX)])],
    )
    weights = load(net)
    assert {k: [b.shape for b in v] for k, v in weights.layers.items()} == {
        "v0": [(2, 3), (2,)],
        "v1": [(3, 2)],
        "v2": [(6,)],
    }
    types = {"v0": "Convolution", "v1": "SigmoidCrossEntropyLoss", "v1 relu": "ReLU", "v2": "MyOwn"}
    assert dict(weights.types) == types
    assert weights.layers["v2"][0].data.tobytes() == (-SIX).tobytes()


def test_a_v0_layer_in_two_parts_is_merged(load: Load) -> None:
    one = field(1, b"first") + field(50, modern([2, 3], SIX).SerializeToString())
    two = field(1, b"second") + field(50, modern([2], SIX[:2]).SerializeToString())
    data = field(2, field(1, one) + field(1, two))
    assert len(caffe_pb2.NetParameter.FromString(data).layers[0].layer.blobs) == 2
    weights = load(data)
    assert [b.shape for b in weights.layers["second"]] == [(2, 3), (2,)]
    assert list(weights.layers) == ["second"]


def test_modern_names_of_all_older_types(load: Load) -> None:
    wanted = (
        "AbsVal Accuracy ArgMax BNLL Concat ContrastiveLoss Convolution Data Deconvolution Dropout DummyData "
        "Eltwise EuclideanLoss Exp Flatten HDF5Data HDF5Output HingeLoss Im2col ImageData InfogainLoss "
        "InnerProduct LRN MVN MemoryData MultinomialLogisticLoss Pooling Power ReLU Sigmoid "
        "SigmoidCrossEntropyLoss Silence Slice Softmax SoftmaxWithLoss Split TanH Threshold WindowData"
    )
    kinds = caffe_pb2.V1LayerParameter
    net = caffe_pb2.NetParameter(layers=[kinds(name=n, type=n) for n in kinds.LayerType.keys()])  # noqa: SIM118
    types = dict(load(net).types)
    assert types.pop("NONE") == ""
    assert " ".join(sorted(types.values())) == wanted
    squeezed = {"SOFTMAX_LOSS": "softmaxwithloss"}
    assert all(v.lower() == squeezed.get(k, k.replace("_", "").lower()) for k, v in types.items())
    oldest = {"conv": "Convolution", "innerproduct": "InnerProduct", "pool": "Pooling", "images": "ImageData"}
    oldest |= {"lrn": "LRN", "relu": "ReLU", "softmax_loss": "SoftmaxWithLoss", "euclidean_loss": "EuclideanLoss"}
    layers = [kinds(layer=caffe_pb2.V0LayerParameter(name=n, type=n)) for n in oldest]
    assert dict(load(caffe_pb2.NetParameter(layers=layers)).types) == oldest


def test_the_last_of_several_layers_of_one_name_with_blobs_counts(load: Load) -> None:
    layer = caffe_pb2.LayerParameter
    net = caffe_pb2.NetParameter(
        layer=[
            layer(name="a", type="One", blobs=[modern([2], [1, 2])]),
            layer(name="a", type="Two", blobs=[modern([3], [-1, -2, -3])]),
            layer(name="a", type="Three"),
            layer(name="data", type="Data"),
        ]
    )
    weights = load(net)
    assert weights.layers["a"][0].data.tolist() == [-1, -2, -3]
    assert dict(weights.types) == {"a": "Two", "data": "Data"}
    assert "data" not in weights.layers


def test_names_that_are_not_utf8_are_read_as_latin1(load: Load) -> None:
    layer = field(1, b"caf\xe9/1") + field(7, modern([1], [4]).SerializeToString())
    assert list(load(field(100, layer)).layers) == ["caf\u00e9/1"]


def test_protobuf_in_python_refuses_names_that_are_not_utf8(tmp_path: Path) -> None:
    """Only the compiled implementation can read them."""
    layer = field(1, b"caf\xe9/1") + field(7, modern([1], [4]).SerializeToString())
    (tmp_path / "net.caffemodel").write_bytes(field(100, layer))
    script = (
        "import sys\nfrom caffe2tf.errors import ParseError\nfrom caffe2tf.parse import open_weights, read_network\n"
        "for read in (open_weights, read_network):\n    try:\n        read(sys.argv[1])\n"
        "    except ParseError as e:\n        print(e)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "net.caffemodel")],
        env={**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"},
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "net.caffemodel: " in line
        assert "text that is not UTF-8" in line
        assert "unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION" in line


def test_a_field_with_another_meaning_in_another_caffe_is_ignored(load: Load) -> None:
    layer = field(1, b"c") + field(106, b"\xff\xff\xff") + field(7, modern([1], [4]).SerializeToString())
    with pytest.raises(Exception, match="parsing"):
        caffe_pb2.LayerParameter.FromString(layer)
    assert load(field(100, layer)).layers["c"][0].data.tolist() == [4]
