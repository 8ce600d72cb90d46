"""Layouts of loaded networks: as few reorderings as possible, and names that collide with nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.ir import Graph, Layout
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from caffe2tf.passes import prepare
from caffe2tf.passes.reorder import Reorder
from tests.builders import write_prototxt

CONV = "convolution_param { num_output: 4 kernel_size: 1 }"
INPUT = 'layer {{ name: "{0}" type: "Input" top: "{0}" input_param {{ shape {{ {1} }} }} }}\n'
IMAGE = INPUT.format("data", "dim: 2 dim: 3 dim: 4 dim: 5")


def prepared(tmp_path: Path, text: str) -> Graph:
    file = write_prototxt(tmp_path, text)
    return prepare(load_graph(read_network(file)))


def reorders(graph: Graph) -> int:
    return sum(isinstance(n.layer, Reorder) for n in graph.nodes)


@pytest.mark.parametrize(("dims", "axes"), [("dim: 2 dim: 3 dim: 4 dim: 5", (0, 2, 3, 1)), ("dim: 2 dim: 3", (0, 1))])
def test_inputs_of_four_axes_are_channels_last(tmp_path: Path, dims: str, axes: tuple[int, ...]) -> None:
    text = INPUT.format("data", dims) + 'layer { name: "r" type: "ReLU" bottom: "data" top: "y" }\n'
    graph = prepared(tmp_path, text)
    assert graph.values["data"].layout == graph.values["y"].layout == Layout(axes)


def test_an_input_of_three_axes_is_channels_last_where_a_convolution_wants_it(tmp_path: Path) -> None:
    text = INPUT.format("data", "dim: 2 dim: 3 dim: 4")
    conv = 'layer { name: "c" type: "Convolution" bottom: "data" top: "y" ' + CONV + " }\n"
    assert prepared(tmp_path, text + conv).values["data"].layout == Layout((0, 2, 1))
    softmax = 'layer { name: "c" type: "Softmax" bottom: "data" top: "y" }\n'
    assert prepared(tmp_path, text + softmax).values["data"].layout == Layout((0, 1, 2))


def test_an_input_that_is_only_reshaped_stays_in_caffes_order(tmp_path: Path) -> None:
    shape = "reshape_param { shape { dim: 0 dim: 6 dim: 10 } }"
    text = IMAGE + f'layer {{ name: "r" type: "Reshape" bottom: "data" top: "y" {shape} }}\n'
    graph = prepared(tmp_path, text)
    assert graph.values["data"].layout.is_plain
    assert reorders(graph) == 0


def test_one_reordering_serves_all_its_readers(tmp_path: Path) -> None:
    shape = "reshape_param { shape { dim: 0 dim: 5 dim: 16 } }"
    text = IMAGE + 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" ' + CONV + " }\n"
    text += "".join(f'layer {{ name: "r{i}" type: "Reshape" bottom: "c" top: "r{i}" {shape} }}\n' for i in range(3))
    assert reorders(prepared(tmp_path, text)) == 1


def test_a_blob_named_like_a_reordered_one(tmp_path: Path, rng: np.random.Generator) -> None:
    shape = "reshape_param { shape { dim: 0 dim: 5 dim: 16 } }"
    text = (
        IMAGE
        + 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        + CONV
        + " }\n"
        + f'layer {{ name: "r" type: "Reshape" bottom: "c" top: "r" {shape} }}\n'
        + 'layer { name: "p" type: "TanH" bottom: "data" top: "c@plain" }\n'
    )
    file = write_prototxt(tmp_path, text)
    data = rng.standard_normal((2, 3, 4, 5)).astype("f4")
    blobs = caffe2tf.run(file, None, {"data": data})
    np.testing.assert_allclose(blobs["c@plain"], np.tanh(data), atol=1e-6)
    np.testing.assert_array_equal(blobs["r"].reshape(-1), blobs["c"].reshape(-1))
