"""No transposition remains at run time in an ordinary convolutional network."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe2tf.ir import Graph
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from caffe2tf.passes import prepare
from caffe2tf.passes.reorder import Reorder
from tests.builders import write_prototxt
from tests.published.definitions import NETWORKS

FLATTEN_CONCAT = """
name: "heads"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 7 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "f1" type: "Flatten" bottom: "c" top: "f1" }
layer { name: "drop" type: "Dropout" bottom: "f1" top: "f1" }
layer { name: "f2" type: "Flatten" bottom: "p" top: "f2" }
layer { name: "cat" type: "Concat" bottom: "f1" bottom: "f2" top: "cat" }
layer { name: "relu" type: "ReLU" bottom: "cat" top: "cat" }
layer { name: "ip" type: "InnerProduct" bottom: "cat" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""

FCN = """
name: "fcn"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 32 dim: 40 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "pool2" type: "Pooling" bottom: "pool1" top: "pool2" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "score" type: "Convolution" bottom: "pool2" top: "score"
        convolution_param { num_output: 5 kernel_size: 1 } }
layer { name: "up2" type: "Deconvolution" bottom: "score" top: "up2"
        convolution_param { num_output: 5 kernel_size: 4 stride: 2 bias_term: false } }
layer { name: "score1" type: "Convolution" bottom: "pool1" top: "score1"
        convolution_param { num_output: 5 kernel_size: 1 } }
layer { name: "crop1" type: "Crop" bottom: "up2" bottom: "score1" top: "crop1" crop_param { axis: 2 offset: 1 } }
layer { name: "fuse" type: "Eltwise" bottom: "score1" bottom: "crop1" top: "fuse" }
layer { name: "up" type: "Deconvolution" bottom: "fuse" top: "up"
        convolution_param { num_output: 5 kernel_size: 4 stride: 2 bias_term: false group: 5 } }
layer { name: "out" type: "Crop" bottom: "up" bottom: "data" top: "out" crop_param { axis: 2 offset: 1 offset: 2 } }
layer { name: "prob" type: "Softmax" bottom: "out" top: "prob" softmax_param { axis: 1 } }
layer { name: "best" type: "ArgMax" bottom: "prob" top: "best" argmax_param { axis: 1 } }
"""


def prepared(path: Path) -> Graph:
    return prepare(load_graph(read_network(path)))


def transpositions(graph: Graph) -> list[str]:
    """Names of the nodes that move values."""
    return [n.name for n in graph.nodes if isinstance(n.layer, Reorder)]


@pytest.mark.parametrize("text", [FLATTEN_CONCAT, FCN], ids=["flatten_concat_ip", "fcn"])
def test_none_in_our_networks(tmp_path: Path, text: str) -> None:
    file = write_prototxt(tmp_path, text)
    graph = prepared(file)
    assert len(graph.nodes) > 8
    assert transpositions(graph) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_none_in_published_networks(tmp_path: Path, name: str) -> None:
    file = write_prototxt(tmp_path, NETWORKS[name]().prototxt)
    graph = prepared(file)
    assert len(graph.nodes) > 8
    assert transpositions(graph) == []


def test_none_in_alexnet(data: Path) -> None:
    assert transpositions(prepared(data / "nets" / "alexnet.prototxt")) == []


def test_one_where_the_order_is_observable(tmp_path: Path) -> None:
    """A flattened blob that leaves the network must be in Caffe's order: the check above can fail."""
    file = write_prototxt(tmp_path, FLATTEN_CONCAT.partition('layer { name: "cat"')[0])
    assert sorted(transpositions(prepared(file))) == ["f1-2-plain", "f2-plain"]
