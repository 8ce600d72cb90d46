"""How trained blobs are shared and trained, from the definition to the nodes of the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe2tf.ir import Graph, check
from caffe2tf.load import load_graph
from caffe2tf.parse import ParamSpec, ShareMode, open_weights, read_network
from caffe2tf.passes.fuse_scale import fuse_scale
from tests.builders import input_layers, write_caffemodel, write_prototxt

V1 = """input: "x" input_dim: 2 input_dim: 3 input_dim: 1 input_dim: 1
layers { name: "fc" type: INNER_PRODUCT bottom: "x" top: "fc" param: "w" blob_share_mode: PERMISSIVE
  blobs_lr: 0.5 blobs_lr: 2 weight_decay: 3 inner_product_param { num_output: 4 } }
layers { name: "plain" type: INNER_PRODUCT bottom: "fc" top: "plain" inner_product_param { num_output: 5 } }
layers { name: "relu" type: RELU bottom: "plain" top: "plain" }"""
V2 = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 1 dim: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" inner_product_param { num_output: 4 }
  param { name: "w" share_mode: PERMISSIVE lr_mult: 0.5 decay_mult: 3 } param { lr_mult: 2 } }
layer { name: "plain" type: "InnerProduct" bottom: "fc" top: "plain" inner_product_param { num_output: 5 } }
layer { name: "relu" type: "ReLU" bottom: "plain" top: "plain" }"""
STATED = (ParamSpec(name="w", share_mode=ShareMode.PERMISSIVE, lr_mult=0.5, decay_mult=3), ParamSpec(lr_mult=2))
DEFAULT = ParamSpec(name="", share_mode=ShareMode.STRICT, lr_mult=1, decay_mult=1)


def loaded(folder: Path, text: str) -> Graph:
    return load_graph(read_network(write_prototxt(folder, text)))


@pytest.mark.parametrize("text", [V1, V2], ids=["V1", "V2"])
def test_each_blob_of_a_node_has_a_specification(tmp_path: Path, text: str) -> None:
    params = [n.params for n in loaded(tmp_path, text).nodes]
    assert params == [(), STATED, (DEFAULT, DEFAULT), ()]


def test_a_layer_without_a_bias_has_one_blob(tmp_path: Path) -> None:
    graph = loaded(tmp_path, V2.replace("num_output: 4", "num_output: 4 bias_term: false"))
    assert graph.nodes[1].params == STATED[:1]


def test_a_fused_node_keeps_the_specifications_of_both_layers(tmp_path: Path, rng: np.random.Generator) -> None:
    text = input_layers({"x": (2, 3)}) + (
        'layer { name: "bn" type: "BatchNorm" bottom: "x" top: "bn" }\n'
        'layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true }\n'
        "  param { lr_mult: 7 decay_mult: 0 } }\n"
    )
    file = write_prototxt(tmp_path, text)
    vectors = [rng.uniform(1, 2, 3).astype(np.float32) for _ in range(4)]
    one = np.array([1], np.float32)
    weights = write_caffemodel(tmp_path, {"bn": [*vectors[:2], one], "scale": vectors[2:]})
    with open_weights(weights) as trained:
        graph = fuse_scale(load_graph(read_network(file), trained))
        check.check_graph(graph)
        fused = graph.nodes[-1]
        assert fused.parts == ("bn", "scale")
        assert fused.params == (*3 * (DEFAULT,), ParamSpec(lr_mult=7, decay_mult=0), DEFAULT)
        assert len(fused.params) == len(fused.blobs)
