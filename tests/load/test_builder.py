"""Building the graph: one SSA version for each write, aliases, and all problems in one message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe2tf
from caffe2tf.errors import NetworkError, UnsupportedError
from caffe2tf.ir import Graph
from caffe2tf.load import load_graph
from caffe2tf.parse import read_network
from tests.builders import input_layer, write_prototxt

DATA = input_layer("data", (2, 3, 4, 5))


def load(tmp_path: Path, text: str, **options: object) -> Graph:
    file = write_prototxt(tmp_path, text)
    return load_graph(read_network(file), **options)  # type: ignore[arg-type]


def problems(tmp_path: Path, text: str, **options: object) -> list[str]:
    with pytest.raises(NetworkError) as caught:
        load(tmp_path, text, **options)
    return [str(p).removeprefix(str(tmp_path / "net.prototxt")) for p in caught.value.problems]


def test_each_write_in_place_is_a_new_version_of_the_blob(tmp_path: Path) -> None:
    graph = load(
        tmp_path,
        DATA
        + 'layer { name: "a" type: "Power" bottom: "data" top: "x" power_param { scale: 2 } }\n'
        + 'layer { name: "b" type: "TanH" bottom: "x" top: "x" }\n'
        + 'layer { name: "c" type: "Sigmoid" bottom: "x" top: "x" }\n'
        + 'layer { name: "d" type: "AbsVal" bottom: "x" top: "y" }\n',
    )
    assert [(n.name, n.inputs, n.outputs) for n in graph.nodes[1:]] == [
        ("a", ("data",), ("x",)),
        ("b", ("x",), ("x#2",)),
        ("c", ("x#2",), ("x#3",)),
        ("d", ("x#3",), ("y",)),
    ]
    assert graph.outputs == ("y",)
    assert {b: v.id for b, v in graph.final_values().items()} == {"data": "data", "x": "x#3", "y": "y"}


def test_a_blob_may_be_named_like_a_version_of_another(tmp_path: Path) -> None:
    graph = load(
        tmp_path,
        DATA
        + 'layer { name: "a" type: "TanH" bottom: "data" top: "x" }\n'
        + 'layer { name: "b" type: "TanH" bottom: "x" top: "x" }\n'
        + 'layer { name: "c" type: "TanH" bottom: "data" top: "x#2" }\n',
    )
    assert len({v.id for v in graph.values.values()}) == len(graph.values) == 4
    assert {graph.values[i].blob for i in graph.outputs} == {"x", "x#2"}


MEMORY = {
    "split": 'layer { name: "s" type: "Split" bottom: "a" top: "b" top: "c" }\n',
    "flatten": 'layer { name: "s" type: "Flatten" bottom: "a" top: "b" }\n',
    "reshape": 'layer { name: "s" type: "Reshape" bottom: "a" top: "b" reshape_param { shape { dim: 0 dim: 60 } } }\n',
    "concat": 'layer { name: "s" type: "Concat" bottom: "a" top: "b" }\n',
    "slice": 'layer { name: "s" type: "Slice" bottom: "a" top: "b" }\n',
}


@pytest.mark.parametrize("kind", MEMORY)
def test_a_write_in_place_changes_all_aliases(tmp_path: Path, kind: str, rng: np.random.Generator) -> None:
    """In Caffe these tops are the bottom's memory, so a recording of the bottom shows the later write."""
    file = write_prototxt(
        tmp_path,
        DATA
        + 'layer { name: "t" type: "TanH" bottom: "data" top: "a" }\n'
        + MEMORY[kind]
        + 'layer { name: "r" type: "ReLU" bottom: "b" top: "b" }\n'
        + 'layer { name: "out" type: "AbsVal" bottom: "b" top: "out" }\n',
    )
    data = rng.standard_normal((2, 3, 4, 5)).astype("f4")
    blobs = caffe2tf.run(file, None, {"data": data})
    written = np.maximum(np.tanh(data), 0)
    np.testing.assert_allclose(blobs["a"], written, atol=1e-6)
    np.testing.assert_allclose(blobs["b"].reshape(-1), written.reshape(-1), atol=1e-6)
    assert blobs["a"].shape == data.shape
    if kind == "split":
        np.testing.assert_allclose(blobs["c"], written, atol=1e-6)


def test_a_copy_is_not_an_alias(tmp_path: Path, rng: np.random.Generator) -> None:
    file = write_prototxt(
        tmp_path,
        DATA
        + 'layer { name: "t" type: "TanH" bottom: "data" top: "a" }\n'
        + 'layer { name: "s" type: "Slice" bottom: "a" top: "b" top: "c" slice_param { slice_point: 1 } }\n'
        + 'layer { name: "r" type: "ReLU" bottom: "b" top: "b" }\n',
    )
    data = rng.standard_normal((2, 3, 4, 5)).astype("f4")
    blobs = caffe2tf.run(file, None, {"data": data})
    np.testing.assert_allclose(blobs["a"], np.tanh(data), atol=1e-6)


def test_an_echo_is_not_an_output_of_the_converted_network(tmp_path: Path) -> None:
    file = write_prototxt(
        tmp_path,
        DATA
        + 'layer { name: "t" type: "TanH" bottom: "data" top: "a" }\n'
        + 'layer { name: "s" type: "Flatten" bottom: "a" top: "b" }\n'
        + 'layer { name: "r" type: "ReLU" bottom: "b" top: "b" }\n',
    )
    done = caffe2tf.convert(file, None, tmp_path / "out")
    assert list(done.outputs) == ["b"]
    assert done.layer_count == 4


def test_an_output_shows_a_write_to_its_alias(tmp_path: Path, rng: np.random.Generator) -> None:
    file = write_prototxt(
        tmp_path,
        DATA
        + 'layer { name: "s" type: "Split" bottom: "data" top: "a" top: "b" top: "c" }\n'
        + 'layer { name: "r" type: "ReLU" bottom: "a" top: "a" }\n'
        + 'layer { name: "t" type: "TanH" bottom: "b" top: "d" }\n',
    )
    done = caffe2tf.convert(file, None, tmp_path / "out")
    assert set(done.outputs) == {"a", "c", "d"}
    data = rng.standard_normal((2, 4, 5, 3)).astype("f4")
    out = done.build()({"data": data}, training=False)
    np.testing.assert_array_equal(out["c"], np.maximum(data, 0))
    np.testing.assert_allclose(out["d"], np.tanh(np.maximum(data, 0)), atol=1e-6)


def test_all_problems_are_in_one_message_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        DATA
        + 'layer { name: "odd" type: "Convolutoin" bottom: "data" top: "x" }\n'
        + 'layer { name: "far" type: "ReLU" bottom: "dta" top: "y" }\n'
        + 'layer { name: "big" type: "Pooling" bottom: "data" top: "z" pooling_param { kernel_size: 2 pad: 2 } }\n'
        + 'layer { name: "after" type: "ReLU" bottom: "x" top: "w" }\n'
        + 'layer { name: "zoo" type: "Zebra" bottom: "w" top: "v" }\n'
        + 'layer { name: "twice" type: "TanH" bottom: "data" top: "y" }\n'
    )
    found = problems(tmp_path, text)
    assert [p.split(" ")[0] for p in found] == [":2:1:", ":3:1:", ":4:1:", ":6:1:", ":7:1:"]
    assert "'Convolutoin' is not supported" in found[0]
    assert "'Convolution'" in found[0]
    assert "did you mean 'data'" in found[1]
    assert "layer 'big'" in found[2]
    assert "'Zebra'" in found[3]
    assert "top 'y' is already written by layer 'far'" in found[4]
    with pytest.raises(UnsupportedError):
        load(tmp_path, text)


def test_a_cycle_is_a_bottom_that_no_earlier_layer_writes(tmp_path: Path) -> None:
    text = (
        DATA
        + 'layer { name: "a" type: "Eltwise" bottom: "data" bottom: "y" top: "x" }\n'
        + 'layer { name: "b" type: "ReLU" bottom: "x" top: "y" }\n'
    )
    assert "bottom 'y' is not the top of any earlier layer" in problems(tmp_path, text)[0]


def test_layers_of_the_same_name_get_unique_node_names(tmp_path: Path) -> None:
    graph = load(
        tmp_path,
        DATA
        + 'layer { name: "r" type: "ReLU" bottom: "data" top: "x" }\n'
        + 'layer { name: "r" type: "TanH" bottom: "x" top: "y" }\n',
    )
    assert [n.name for n in graph.nodes] == ["data", "r", "r#2"]
    assert "weights of that name go to the first" in graph.notes[-1].message


def test_a_loss_without_tops_has_the_automatic_top_of_caffe(tmp_path: Path) -> None:
    file = write_prototxt(
        tmp_path,
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
        'layer { name: "l" type: "Input" top: "l" input_param { shape { dim: 2 } } }\n'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "l" }\n',
    )
    assert caffe2tf.infer_shapes(file) == {"x": (2, 3), "l": (2,), "(automatic)": ()}


@pytest.mark.parametrize(
    ("field", "harmless"),
    [
        ("transform_param { augment: 3 }", True),
        ("param { learning_policy: 1 }", True),
        ("convolution_param { num_output: 2 kernel_size: 1 weight_filler { kind: 1 } }", True),
        ("convolution_param { num_output: 2 kernel_size: 1 deformable: true }", False),
        ("quantise { bits: 8 }", False),
    ],
)
def test_unknown_fields(tmp_path: Path, field: str, harmless: bool) -> None:
    other = "" if "num_output" in field else "convolution_param { num_output: 2 kernel_size: 1 }"
    text = DATA + f'layer {{ name: "c" type: "Convolution" bottom: "data" top: "x" {field} {other} }}\n'
    if harmless:
        assert any("is ignored" in str(n) and ":2:" in str(n) for n in load(tmp_path, text).notes)
    else:
        (found,) = problems(tmp_path, text)
        assert "is not known, and may change what the layer computes" in found
        assert found.startswith(":2:")


def test_a_given_shape_replaces_the_shape_in_the_definition(tmp_path: Path) -> None:
    graph = load(
        tmp_path, DATA + 'layer { name: "r" type: "ReLU" bottom: "data" top: "x" }\n', input_shapes={"data": (7, 2)}
    )
    assert graph.values["x"].shape == (7, 2)


def test_a_shape_for_a_blob_that_is_not_an_input_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, DATA, input_shapes={"date": (1, 2)})
    assert found == ["a shape is given for 'date', which is not an input; inputs: 'data'"]


def test_a_shape_for_an_input_with_a_problem_is_not_refused_as_well(tmp_path: Path) -> None:
    text = DATA.replace('top: "data"', 'top: "data" bottom: "data"')
    (found,) = (p for p in problems(tmp_path, text, input_shapes={"data": (1, 2)}) if "bottoms" in p)
    assert found.startswith(":1:1: layer 'data': a layer of type Input takes 0 bottoms")


def test_notes_are_in_the_order_of_the_file(tmp_path: Path) -> None:
    relu = 'layer { name: "r" type: "ReLU" bottom: "data" top: "x" debug { a: 1 } }\n'
    text = DATA + relu + relu.replace('"x"', '"y"') + "profile { on: true }\n"
    places = [note.where for note in load(tmp_path, text).notes]
    assert [place.line if place else 0 for place in places] == [2, 3, 3, 4]


def test_no_layer_in_the_phase(tmp_path: Path) -> None:
    text = DATA.replace("input_param", "include { phase: TRAIN } input_param")
    assert problems(tmp_path, text) == ["no layer is left for phase TEST"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"input: 'x' input_shape {{ {'dim: 1 ' * 33} }}", r"top 'x': it has 33 axes, and Caffe allows 32"),
        (
            "input: 'x' input_shape { dim: 3000000000 }",
            r"top 'x': its shape 3000000000 is larger than Caffe allows \(2147483647 values\)",
        ),
        (
            (
                "input: 'x' input_shape { dim: 2 dim: 3 } layer { name: 't' type: 'Tile' bottom: 'x' top: 'y' "
                "tile_param { tiles: 800000000 } }"
            ),
            r"layer 't'.*top 'y': its shape 2x2400000000 is larger than Caffe allows",
        ),
        (
            (
                "input: 'x' input_shape { dim: 2 dim: 3 } layer { name: 'i' type: 'InnerProduct' bottom: 'x' top: 'y' "
                "inner_product_param { num_output: 900000000 } }"
            ),
            r"layer 'i'.*its weight: its shape 900000000x3 is larger than Caffe allows",
        ),
    ],
)
def test_blobs_larger_than_caffe_allows_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = write_prototxt(tmp_path, text + " layer { name: 'n' type: 'TanH' bottom: 'x' top: 'n' }")
    with pytest.raises(NetworkError, match=message):
        load_graph(read_network(file))
