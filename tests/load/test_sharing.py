"""Parameters that layers share by name, by the rules of Caffe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import NetworkError
from caffe2tf.ir import Member
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from tests.builders import input_layers, write_caffemodel, write_prototxt

GAUSS = 'weight_filler { type: "gaussian" }'


def dense(name: str, bottom: str, outputs: int, *params: str) -> str:
    listed = " ".join(f"param {{ {p} }}" for p in params)
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" {listed} '
        f"inner_product_param {{ num_output: {outputs} {GAUSS} }} }}\n"
    )


def problems(folder: Path, text: str) -> list[str]:
    file = write_prototxt(folder, text)
    with pytest.raises(NetworkError) as caught:
        load_graph(read_network(file))
    return [p.message for p in caught.value.problems]


STRICT, PERMISSIVE = 'name: "w" share_mode: STRICT', 'name: "w" share_mode: PERMISSIVE'


@pytest.mark.parametrize(
    ("owner", "sharer", "outputs", "refused"),
    [
        (STRICT, STRICT, 3, "3x4 here and 4x3 there"),
        (PERMISSIVE, STRICT, 3, "3x4 here and 4x3 there"),  # the mode of the later layer counts
        (STRICT, PERMISSIVE, 3, ""),
        (STRICT, PERMISSIVE, 2, "2x4 here and 4x3 there"),
    ],
)
def test_shapes(tmp_path: Path, owner: str, sharer: str, outputs: int, refused: str) -> None:
    text = input_layers({"x": (2, 3)}) + dense("a", "x", 4, owner) + dense("b", "a", outputs, sharer)
    if refused:
        (found,) = problems(tmp_path, text)
        assert found.startswith(f"parameter 'w' is shared with layer 'a', but is {refused}")
    else:
        assert caffe2tf.infer_shapes(write_prototxt(tmp_path, text))["b"] == (2, outputs)


def test_every_mismatch_is_reported(tmp_path: Path) -> None:
    text = input_layers({"x": (2, 3)}) + dense("a", "x", 4, 'name: "w"', 'name: "b"')
    text += dense("b", "a", 5, 'name: "w"', 'name: "b"')
    assert [w.partition(",")[0] for w in problems(tmp_path, text)] == [
        "parameter 'w' is shared with layer 'a'",
        "parameter 'b' is shared with layer 'a'",
    ]


def test_the_owner_of_each_parameter(tmp_path: Path) -> None:
    text = input_layers({"x": (2, 3)}) + dense("a", "x", 3, 'name: "w"', 'name: "b"')
    text += dense("b", "a", 3, 'name: "w"', "lr_mult: 2") + dense("c", "b", 3, 'name: "w"', 'name: "b"')
    text += dense("d", "c", 3)
    graph = load_graph(read_network(write_prototxt(tmp_path, text)))
    assert graph.shared == {"c": "a"}
    owners = {name: [(p.name, p.owner) for p in own] for name, own in graph.parameters.items()}
    w, b = Member("a", 0), Member("a", 1)
    assert owners == {
        "a": [("w", w), ("b", b)],
        "b": [("w", w), ("", Member("b", 1))],
        "c": [("w", w), ("b", b)],
        "d": [("", Member("d", 0)), ("", Member("d", 1))],
    }


def test_layers_that_share_parameters_in_another_order_stay_two_layers(tmp_path: Path) -> None:
    """Scale and bias have the same shape and are swapped."""
    text = input_layers({"x": (2, 3)}) + "".join(
        f'layer {{ name: "{n}" type: "Scale" bottom: "{bottom}" top: "{n}" scale_param {{ bias_term: true }}\n'
        f'  param {{ name: "{p}" }} param {{ name: "{q}" }} }}\n'
        for n, bottom, p, q in (("a", "x", "s", "t"), ("b", "a", "t", "s"))
    )
    file = write_prototxt(tmp_path, text)
    assert load_graph(read_network(file)).shared == {}
    s, t = np.array([1, -2, 3], np.float32), np.array([-4, 5, 0.5], np.float32)
    weights = write_caffemodel(tmp_path, {"a": [s, t], "b": [t, s]})
    x = np.array([[1, 2, -3], [0.5, -1, 4]], np.float32)
    found = caffe2tf.run(file, weights, {"x": x})
    np.testing.assert_allclose(found["b"], (x * s + t) * t + s, rtol=1e-6)


def test_permissive_blobs_are_read_in_the_shape_of_each_layer(tmp_path: Path, rng: np.random.Generator) -> None:
    """A convolution and two inner products share a blob; the file holds it in the shape of each layer."""
    text = input_layers({"x": (2, 3, 1, 2)}) + (
        f'layer {{ name: "a" type: "Convolution" bottom: "x" top: "a" param {{ {STRICT} }}\n'
        f"  convolution_param {{ num_output: 4 kernel_h: 1 kernel_w: 2 {GAUSS} }} }}\n"
        + dense("b", "a", 6, PERMISSIVE)
        + dense("c", "b", 4, PERMISSIVE)
    )
    file = write_prototxt(tmp_path, text)
    w = rng.normal(size=24).astype(np.float32)
    biases = [rng.normal(size=n).astype(np.float32) for n in (4, 6, 4)]
    blobs = {n: [w.reshape(s), b] for n, s, b in zip("abc", [(4, 3, 1, 2), (6, 4), (4, 6)], biases, strict=True)}
    weights = write_caffemodel(tmp_path, blobs)
    x = rng.normal(size=(2, 3, 1, 2)).astype(np.float32)
    found = caffe2tf.run(file, weights, {"x": x})
    a = x.reshape(2, 6) @ w.reshape(4, 6).T + biases[0]
    b = a @ w.reshape(6, 4).T + biases[1]
    np.testing.assert_allclose(found["b"], b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["c"], b @ w.reshape(4, 6).T + biases[2], rtol=1e-4, atol=1e-5)


def test_a_network_without_sharing_has_no_parameters_to_tie(tmp_path: Path) -> None:
    file = write_prototxt(
        tmp_path, input_layers({"x": (2, 3)}) + dense("a", "x", 3, 'name: "w"') + dense("b", "a", 3, 'name: "v"')
    )
    graph = load_graph(read_network(file))
    assert (graph.shared, graph.parameters) == ({}, {})
