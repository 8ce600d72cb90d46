"""Which Keras layers there are, what they are called, and where each blob can be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caffe2tf.artifacts import build_model
from caffe2tf.emit.program import Program, write_program
from caffe2tf.ir import Node
from tests.builders import input_layers
from tests.emit.networks import plan

IP = (
    'layer {{ name: "{0}" type: "InnerProduct" bottom: "{1}" top: "{2}" {3} '
    'inner_product_param {{ num_output: 3 weight_filler {{ type: "gaussian" }} }} }}\n'
)
SHARED = 'param { name: "w" } param { name: "b" }'


def program(text: str, folder: Path) -> Program:
    return plan(input_layers({"d": (2, 3)}) + text, folder).program


def test_layers_that_share_their_weights_are_one_layer_called_twice(tmp_path: Path) -> None:
    made = plan(
        input_layers({"d": (2, 3)}) + IP.format("a", "d", "a", SHARED) + IP.format("b", "a", "b", SHARED), tmp_path
    )
    constructed = [s.name for s in made.program.statements if s.construct and s.construct.target == "layers.Dense"]
    assert constructed == ["a"]
    assert made.program.owners == {"a": "a"}
    model = build_model(made)
    assert len(model.get_weights()) == 2
    x = np.random.default_rng(0).normal(size=(2, 3)).astype("f4")
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(model.predict({"d": x}, verbose=0)["b"], (x @ kernel + bias) @ kernel + bias, rtol=1e-5)


def test_every_value_can_be_read_at_its_tap(tmp_path: Path) -> None:
    text = IP.format("a", "d", "a", "") + (
        'layer { name: "s" type: "Slice" bottom: "a" top: "l" top: "r" slice_param { axis: 1 slice_point: 1 } }\n'
        'layer { name: "e" type: "TanH" bottom: "r" top: "e" }\n'
    )
    made = plan(input_layers({"d": (2, 3)}) + text, tmp_path)
    model = build_model(made)
    assert set(made.program.taps) == set(made.program.graph.values)
    shapes = {}
    for value, tap in made.program.taps.items():
        output = model.get_layer(tap.layer).output
        shapes[value] = tuple((output[tap.index] if isinstance(output, list | tuple) else output).shape)
    assert shapes == {"d": (None, 3), "a": (None, 3), "l": (None, 1), "r": (None, 2), "e": (None, 2)}


@pytest.mark.parametrize("blob", ["a~layer", "a~0", "a-2~0", "d@plain", "a#2"])
def test_blobs_named_like_generated_layers(tmp_path: Path, blob: str) -> None:
    text = (
        IP.format("a", "d", "a", SHARED)
        + 'layer { name: "r" type: "ReLU" bottom: "a" top: "a" }\n'
        + IP.format("b", "a", blob, SHARED)
        + f'layer {{ name: "t" type: "TanH" bottom: "{blob}" top: "t" }}\n'
    )
    made = plan(input_layers({"d": (2, 3)}) + text, tmp_path)
    x = np.random.default_rng(0).normal(size=(2, 3)).astype("f4")
    model = build_model(made)
    kernel, bias = model.get_weights()
    want = np.tanh(np.maximum(x @ kernel + bias, 0) @ kernel + bias)
    np.testing.assert_allclose(model.predict({"d": x}, verbose=0)["t"], want, rtol=1e-5, atol=1e-6)


def test_a_comment_bears_caffes_name_where_nobody_could_guess_it(tmp_path: Path) -> None:
    statements = program(IP.format("x/1", "d", "a", "") + IP.format("x-1", "a", "b", ""), tmp_path).statements
    assert [(s.name, s.comment) for s in statements] == [("x-1", ""), ("x-1.2", "x-1")]


def test_the_first_input_is_looked_for_once(tmp_path: Path) -> None:
    """It may stand last, behind very many layers that read constants."""

    class Walked(tuple[Node, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[Node]:
            walks.append(self)
            return super().__iter__()

    walks: list[Walked] = []
    chain = "".join(f'layer {{ name: "t{i}" type: "TanH" bottom: "t{i - 1}" top: "t{i}" }}\n' for i in range(1, 50))
    constant = 'layer { name: "t0" type: "DummyData" top: "t0" dummy_data_param { shape { dim: 2 dim: 3 } } }\n'
    graph = program(constant + chain, tmp_path).graph
    made = write_program(replace(graph, nodes=Walked(graph.nodes)))
    assert made.anchor is not None
    assert made.anchor.blob == "d"
    assert len(walks) < 10
