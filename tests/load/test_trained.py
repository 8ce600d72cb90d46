"""Opening trained blobs: from files, or from the definition itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe2tf.errors import ParseError
from caffe2tf.load import WeightFiles, open_trained
from caffe2tf.parse import read_network
from caffe2tf.proto import caffe_pb2
from tests.builders import blob, write_caffemodel, write_prototxt

VALUES = np.array([[-1.5, 2, 3], [4, 5, -6]], np.float32)


def binary(folder: Path, *, trained: bool) -> Path:
    net = caffe_pb2.NetParameter(name="net")
    layer = net.layer.add(name="fc", type="InnerProduct", bottom=["a"], top=["fc"])
    layer.inner_product_param.num_output = 2
    if trained:
        layer.blobs.append(blob(VALUES))
    path = folder / "net.caffemodel"
    path.write_bytes(net.SerializeToString())
    return path


def test_a_text_definition_holds_no_blobs(tmp_path: Path) -> None:
    file = write_prototxt(tmp_path, 'layer { name: "fc" type: "ReLU" bottom: "a" top: "a" }')
    with open_trained(read_network(file), None) as blobs:
        assert blobs is None


def test_a_trained_network_holds_its_blobs(tmp_path: Path) -> None:
    with open_trained(read_network(binary(tmp_path, trained=True)), None) as blobs:
        assert blobs is not None
        (found,) = blobs.layers["fc"]
        np.testing.assert_array_equal(found.data.reshape(found.shape), VALUES)


def test_a_binary_definition_without_blobs(tmp_path: Path) -> None:
    with open_trained(read_network(binary(tmp_path, trained=False)), None) as blobs:
        assert blobs is None


def test_files_replace_the_blobs_in_the_definition_and_the_last_file_wins(tmp_path: Path) -> None:
    definition = read_network(binary(tmp_path, trained=True))
    first = write_caffemodel(tmp_path, {"fc": [2 * VALUES], "only": [VALUES[0]]}, "first.caffemodel")
    second = write_caffemodel(tmp_path, {"fc": [3 * VALUES]}, "second.caffemodel")
    choices: tuple[tuple[WeightFiles, int], ...] = ((first, 2), ([first, str(second)], 3))
    for given, factor in choices:
        with open_trained(definition, given) as blobs:
            assert blobs is not None
            assert set(blobs.layers) == {"fc", "only"}
            np.testing.assert_array_equal(blobs.layers["fc"][0].data.reshape(2, 3), factor * VALUES)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match=r"gone\.caffemodel: no such file"):
        open_trained(read_network(binary(tmp_path, trained=True)), tmp_path / "gone.caffemodel")
