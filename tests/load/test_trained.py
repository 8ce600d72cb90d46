"""Opening trained blobs: from files, or from the definition itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe2tf.errors import ParseError
from caffe2tf.load import WeightFiles, open_trained
from caffe2tf.parse import read_network
from caffe2tf.proto import caffe_pb2
from tests.builders import caffemodel

VALUES = np.array([[-1.5, 2, 3], [4, 5, -6]], np.float32)


def binary(folder: Path, *, trained: bool) -> Path:
    net = caffe_pb2.NetParameter(name="net")
    layer = net.layer.add(name="fc", type="InnerProduct", bottom=["a"], top=["fc"])
    layer.inner_product_param.num_output = 2
    if trained:
        layer.blobs.add(data=VALUES.reshape(-1).tolist()).shape.dim.extend(VALUES.shape)
    path = folder / "net.caffemodel"
    path.write_bytes(net.SerializeToString())
    return path


def test_a_text_definition_holds_no_blobs(tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    file.write_text('layer { name: "fc" type: "ReLU" bottom: "a" top: "a" }')
    with open_trained(read_network(file), None) as blobs:
        assert blobs is None


def test_a_trained_network_holds_its_blobs(tmp_path: Path) -> None:
    with open_trained(read_network(binary(tmp_path, trained=True)), None) as blobs:
        assert blobs is not None
        (blob,) = blobs.layers["fc"]
        np.testing.assert_array_equal(blob.data.reshape(blob.shape), VALUES)


def test_a_binary_definition_without_blobs(tmp_path: Path) -> None:
    with open_trained(read_network(binary(tmp_path, trained=False)), None) as blobs:
        assert blobs is None


def test_files_replace_the_blobs_in_the_definition_and_the_last_file_wins(tmp_path: Path) -> None:
    definition = read_network(binary(tmp_path, trained=True))
    first, second = tmp_path / "first.caffemodel", tmp_path / "second.caffemodel"
    first.write_bytes(caffemodel({"fc": [2 * VALUES], "only": [VALUES[0]]}))
    second.write_bytes(caffemodel({"fc": [3 * VALUES]}))
    choices: tuple[tuple[WeightFiles, int], ...] = ((first, 2), ([first, str(second)], 3))
    for given, factor in choices:
        with open_trained(definition, given) as blobs:
            assert blobs is not None
            assert set(blobs.layers) == {"fc", "only"}
            np.testing.assert_array_equal(blobs.layers["fc"][0].data.reshape(2, 3), factor * VALUES)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match=r"gone\.caffemodel: no such file"):
        open_trained(read_network(binary(tmp_path, trained=True)), tmp_path / "gone.caffemodel")
