"""All passes together, from the text of a definition to the values that the network computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir import Graph
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from caffe2tf.passes import prepare
from tests.builders import input_layer, input_layers, write_prototxt
from tests.layers.oracle import run_layer

X = np.random.default_rng(3).normal(size=(2, 3, 5, 7)).astype("f4")
CONV = (
    'layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{2}" convolution_param {{ num_output: 4 '
    'kernel_size: 3 weight_filler {{ type: "gaussian" std: 0.5 }} bias_filler {{ type: "gaussian" }} }} {3} }}\n'
)
RELU = 'layer {{ name: "{0}" type: "ReLU" bottom: "{1}" top: "{2}" }}\n'


def prepared(text: str, folder: Path, **options: bool) -> Graph:
    file = write_prototxt(folder, input_layers({"d": X.shape}) + text)
    return prepare(load_graph(read_network(file), None, fill=True), **options)


def names(graph: Graph) -> list[str]:
    return [n.name for n in graph.nodes]


def test_an_activation_in_place_is_part_of_its_layer(tmp_path: Path) -> None:
    text = CONV.format("c", "d", "c", "") + RELU.format("r", "c", "c")
    graph = prepared(text, tmp_path)
    (node,) = (n for n in graph.nodes if n.name == "c")
    assert node.parts == ("c", "r")
    assert "r" not in names(graph)
    assert run_layer(text, {"d": X})["c"].min() == 0


def test_an_activation_with_a_blob_of_its_own_is_not_fused(tmp_path: Path) -> None:
    text = CONV.format("c", "d", "c", "") + RELU.format("r", "c", "r")
    assert {"c", "r"} <= set(names(prepared(text, tmp_path)))
    out = run_layer(text, {"d": X})
    np.testing.assert_array_equal(out["r"], np.maximum(out["c"], 0))
    assert out["c"].min() < 0


def test_an_activation_in_place_is_not_fused_if_its_blob_was_read_before(tmp_path: Path) -> None:
    text = (
        CONV.format("c", "d", "c", "")
        + RELU.format("before", "c", "kept").replace("ReLU", "TanH")
        + RELU.format("r", "c", "c")
    )
    assert "r" in names(prepared(text, tmp_path))
    out = run_layer(text, {"d": X})
    assert out["kept"].min() < 0
    assert out["c"].min() == 0


@pytest.mark.parametrize("kind", ["Convolution", "InnerProduct"])
def test_of_two_activations_in_place_only_the_first_is_fused(kind: str, tmp_path: Path) -> None:
    text = (
        CONV.format("c", "d", "c", "") + RELU.format("r", "c", "c") + RELU.format("t", "c", "c").replace("ReLU", "TanH")
    )
    if kind == "InnerProduct":
        text = (
            text.replace("Convolution", kind)
            .replace("kernel_size: 3 ", "")
            .replace("convolution_param", "inner_product_param")
        )
    graph = prepared(text, tmp_path)
    assert [n.parts for n in graph.nodes if "c" in n.parts or "t" in n.parts] == [("c", "r"), ("t",)]
    out = run_layer(text, {"d": X})["c"]
    assert out.min() == 0
    assert 0.5 < out.max() <= 1


def test_batch_norm_and_the_scale_in_place_are_one_layer(tmp_path: Path) -> None:
    text = (
        'layer { name: "b" type: "BatchNorm" bottom: "d" top: "b" batch_norm_param { use_global_stats: true } }\n'
        'layer { name: "s" type: "Scale" bottom: "b" top: "b" scale_param { bias_term: true } }\n'
    )
    (node,) = (n for n in prepared(text, tmp_path).nodes if n.name == "b")
    assert node.parts == ("b", "s")
    rng = np.random.default_rng(0)
    mean, variance, gamma, beta = (rng.uniform(0.5, 2, 3).astype("f4") for _ in range(4))
    out = run_layer(text, {"d": X}, {"b": [mean * 2, variance * 2, [2.0]], "s": [gamma, beta]})
    column = (1, 3, 1, 1)
    want = (X - mean.reshape(column)) / np.sqrt(variance.reshape(column) + 1e-5) * gamma.reshape(column) + beta.reshape(
        column
    )
    np.testing.assert_allclose(out["b"], want, rtol=1e-4, atol=1e-5)


def test_losses_and_labels_are_left_out(tmp_path: Path) -> None:
    text = (
        'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }\n'
        'layer { name: "i" type: "InnerProduct" bottom: "d" top: "i" inner_product_param { num_output: 4 } }\n'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "i" bottom: "label" top: "loss" }\n'
        'layer { name: "a" type: "Accuracy" bottom: "i" bottom: "label" top: "a" }\n'
    )
    graph = prepared(text, tmp_path)
    assert "label" not in names(graph)
    assert [graph.values[i].blob for i in graph.outputs] == ["prob"]
    assert any("'loss': SoftmaxWithLoss becomes Softmax" in str(n) for n in graph.notes)
    assert any("'a': Accuracy is left out" in str(n) for n in graph.notes)
    kept = prepared(text, tmp_path, keep_losses=True)
    assert {"label", "loss", "a"} <= set(names(kept))


def test_of_several_losses_the_last_gives_prob(tmp_path: Path) -> None:
    """As in GoogLeNet, whose first two classifiers only help in training."""
    label = input_layer("label", (2,))
    text = label + "".join(
        f'layer {{ name: "{n}" type: "InnerProduct" bottom: "d" top: "{n}" inner_product_param {{ num_output: 4 }} }}\n'
        f'layer {{ name: "{n}/loss" type: "SoftmaxWithLoss" bottom: "{n}" bottom: "label" top: "{n}/loss" }}\n'
        for n in ("one", "two", "main")
    )
    graph = prepared(text, tmp_path)
    writer = {i: n.name for n in graph.nodes for i in n.outputs}
    outputs = {graph.values[i].blob: writer[i] for i in graph.outputs}
    assert outputs == {"one/loss-prob": "one/loss", "two/loss-prob": "two/loss", "prob": "main/loss"}


def test_a_loss_that_another_layer_reads_stays(tmp_path: Path) -> None:
    text = (
        'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }\n'
        'layer { name: "i" type: "InnerProduct" bottom: "d" top: "i" inner_product_param { num_output: 4 } }\n'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "i" bottom: "label" top: "loss" top: "p" }\n'
        'layer { name: "half" type: "Power" bottom: "loss" top: "half" power_param { scale: 0.5 } }\n'
        'layer { name: "a" type: "Accuracy" bottom: "i" bottom: "label" top: "a" }\n'
    )
    graph = prepared(text, tmp_path)
    assert {"label", "loss", "half"} <= set(names(graph))
    assert "a" not in names(graph)
    assert {graph.values[i].blob for i in graph.outputs} == {"p", "half"}


def test_a_blob_that_shares_memory_with_a_silenced_one_stays(tmp_path: Path) -> None:
    text = (
        'layer { name: "s" type: "Split" bottom: "d" top: "e" }\n'
        + RELU.format("r", "e", "e")
        + RELU.format("t", "d", "t")
        + 'layer { name: "q" type: "Silence" bottom: "t" }\n'
    )
    graph = prepared(text, tmp_path)
    assert [graph.values[i].blob for i in graph.outputs] == ["e"]
    assert "r" in names(graph)


def test_silenced_blobs(tmp_path: Path) -> None:
    text = RELU.format("r", "d", "r") + RELU.format("t", "d", "t") + 'layer { name: "q" type: "Silence" bottom: "t" }\n'
    graph = prepared(text, tmp_path)
    assert [graph.values[i].blob for i in graph.outputs] == ["r"]
    assert "t" not in names(graph)
    kept = prepared(text, tmp_path, keep_silent=True)
    assert {kept.values[i].blob for i in kept.outputs} == {"r", "t"}


@pytest.mark.parametrize(
    ("text", "free"),
    [
        (RELU.format("r", "d", "r"), True),
        ('layer { name: "f" type: "Flatten" bottom: "d" top: "f" }', True),
        (
            input_layers({"c": (1, 2, 4), "x": (1, 2, 16), "s": (1, 2)})
            + 'layer { name: "u" type: "LSTMUnit" bottom: "c" bottom: "x" bottom: "s" top: "c1" top: "h1" }',
            False,
        ),
        ('layer { name: "f" type: "Flatten" bottom: "d" top: "f" flatten_param { axis: 0 } }', False),
        ('layer { name: "c" type: "Concat" bottom: "d" bottom: "d" top: "c" concat_param { axis: 0 } }', False),
        ('layer { name: "c" type: "Concat" bottom: "d" bottom: "d" top: "c" concat_param { axis: 2 } }', True),
    ],
)
def test_whether_the_batch_is_free(tmp_path: Path, text: str, free: bool) -> None:
    assert prepared(text, tmp_path).free_batch is free


def test_reorderings_are_added_only_where_layouts_differ(tmp_path: Path) -> None:
    conv_only = prepared(CONV.format("c", "d", "c", "") + RELU.format("r", "c", "r"), tmp_path)
    assert not [n for n in names(conv_only) if "plain" in n or "reordered" in n]
    flat = (
        'layer { name: "f" type: "Reshape" bottom: "c" top: "f" reshape_param { shape { dim: 0 dim: 6 dim: -1 } } }\n'
    )
    reshaped = prepared(CONV.format("c", "d", "c", "") + flat, tmp_path)
    assert [n for n in names(reshaped) if "plain" in n] == ["c-plain"]
    out = run_layer(CONV.format("c", "d", "c", "") + flat, {"d": X})
    np.testing.assert_array_equal(out["f"], out["c"].reshape(2, 6, -1))


def test_shared_parameters_make_one_layer(tmp_path: Path) -> None:
    shared = 'param { name: "w" } param { name: "b" }'
    text = CONV.format("a", "d", "a", shared) + CONV.format("b", "d", "b", shared)
    graph = prepared(text, tmp_path)
    assert {n.name: n.owner for n in graph.nodes if n.name in "ab"} == {"a": None, "b": "a"}
    out = run_layer(text, {"d": X})
    np.testing.assert_array_equal(out["a"], out["b"])


def test_a_pass_leaves_its_graph_as_it_was(tmp_path: Path) -> None:
    file = write_prototxt(
        tmp_path, input_layers({"d": X.shape}) + CONV.format("c", "d", "c", "") + RELU.format("r", "c", "c")
    )
    graph = load_graph(read_network(file), None, fill=True)
    before = names(graph), dict(graph.values), graph.outputs
    prepare(graph)
    assert (names(graph), dict(graph.values), graph.outputs) == before


def test_a_network_whose_every_blob_is_silenced_has_no_output(tmp_path: Path) -> None:
    text = RELU.format("r", "d", "r") + 'layer { name: "q" type: "Silence" bottom: "r" }\n'
    net = write_prototxt(tmp_path, input_layers({"d": X.shape}) + text)
    with pytest.raises(Caffe2TFError, match="the network has no output"):
        caffe2tf.convert(net, None, tmp_path / "out")


@pytest.mark.parametrize("bottoms", ["out data", "data out"])
def test_a_prediction_stays_on_either_side_of_its_loss(bottoms: str, tmp_path: Path) -> None:
    """An autoencoder compares its output with its input; FlowNet resizes the truth to a prediction's size."""
    first, second = bottoms.split()
    text = (
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }\n'
        'layer { name: "out" type: "Power" bottom: "data" top: "out" power_param { shift: 1 } }\n'
        f'layer {{ name: "loss" type: "EuclideanLoss" bottom: "{first}" bottom: "{second}" top: "loss" }}\n'
    )
    net = write_prototxt(tmp_path, text)
    assert set(caffe2tf.convert(net, None, tmp_path / "out").outputs) == {"out"}


def test_a_prediction_that_also_resizes_its_target_stays(tmp_path: Path) -> None:
    text = (
        'layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 6 } } }\n'
        'layer { name: "truth" type: "Input" top: "truth" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 12 } } }\n'
        'layer { name: "flow" type: "Power" bottom: "a" top: "flow" power_param { scale: 3 } }\n'
        'layer { name: "small" type: "Downsample" bottom: "truth" bottom: "flow" top: "small" }\n'
        'layer { name: "loss" type: "L1Loss" bottom: "flow" bottom: "small" top: "loss" }\n'
    )
    net = write_prototxt(tmp_path, text)
    done = caffe2tf.convert(net, None, tmp_path / "out")
    assert (set(done.inputs), set(done.outputs)) == ({"a"}, {"flow"})
