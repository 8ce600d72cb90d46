"""The check of graphs: for each rule a graph that breaks it, and it alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from caffe2tf.ir import Block, Graph, Layout, Node, NodeBlob, Value
from caffe2tf.ir.check import BrokenGraphError, check_graph, violations
from caffe2tf.ir.layer import Layer
from caffe2tf.layers.activation.activations import ReLU, TanH
from caffe2tf.layers.arithmetic.inner_product import InnerProduct
from caffe2tf.layers.data.source import Input
from caffe2tf.layers.shape.split import Split
from caffe2tf.parse import ParamSpec
from tests.passes.graphs import dense

SHAPE = (2, 6)
PLAIN, TURNED = Layout.plain(2), Layout.flat([Block((2, 3), (1, 0))])


def value(id_: str, shape: tuple[int, ...] = SHAPE, layout: Layout = PLAIN) -> Value:
    return Value(id=id_, blob=id_.partition("#")[0], shape=shape, layout=layout)


def node(name: str, inputs: str, outputs: str, layer: Layer | None = None, **changes: Any) -> Node:  # noqa: ANN401 - passed to replace()
    made = Node(
        name=name, layer=layer or ReLU(), inputs=tuple(inputs.split()), outputs=tuple(outputs.split()), parts=(name,)
    )
    return replace(made, **changes)


DATA = node("data", "", "x", Input(shapes=(SHAPE,)))
A, B = node("a", "x", "y"), node("b", "y", "z")


def graph(*nodes: Node, values: Mapping[str, Value] | None = None, **changes: Any) -> Graph:  # noqa: ANN401 - passed to replace()
    """The values that ``nodes`` name, replaced or joined by ``values``."""
    all_values = {i: value(i) for n in nodes for i in n.outputs} | dict(values or {})
    made = Graph(name="g", nodes=nodes, values=all_values, outputs=(nodes[-1].outputs[-1:]))
    return replace(made, **changes)


SOUND = graph(DATA, A, B)

BROKEN = {
    "two nodes of one name": (graph(DATA, A, replace(B, name="a")), "2 nodes are named 'a'"),
    "a value under another id": (
        graph(DATA, A, B, values={"y": value("q")}),
        "value 'q' is filed under 'y'",
    ),
    "a value written twice": (graph(DATA, A, node("b", "x", "y"), outputs=("y",)), "value 'y' is written 2 times"),
    "a value that nobody writes": (graph(DATA, A, values={"q": value("q")}), "value 'q' is written 0 times"),
    "an input that does not exist": (
        graph(DATA, A, node("b", "q", "z")),
        "node 'b' reads value 'q', which does not exist",
    ),
    "an output of a node that does not exist": (
        replace(graph(DATA, A, B, outputs=("y",)), values={i: value(i) for i in "xy"}),
        "node 'b' writes value 'z', which does not exist",
    ),
    "a reader before the writer": (graph(DATA, B, A), "node 'b' reads value 'y' before it is written"),
    "an output of the network that does not exist": (graph(DATA, A, outputs=("q",)), "output 'q' does not exist"),
    "an output that is listed twice": (graph(DATA, A, outputs=("y", "y")), "output 'y' is listed 2 times"),
    "a layer that does not take its inputs": (
        graph(DATA, A, node("b", "y", "z", replace(dense(6), axis=5))),
        "node 'b' does not take its inputs: inner_product_param.axis",
    ),
    "too many outputs": (graph(DATA, node("a", "x", "y z")), "node 'a' has 2 outputs, its layer gives 1"),
    "a shape that the layer does not give": (
        graph(DATA, A, values={"y": value("y", (2, 5))}),
        "value 'y' is 2x5, node 'a' gives 2x6",
    ),
    "another number of specifications than blobs": (
        graph(DATA, replace(A, blobs=(NodeBlob(array=np.ones(3)),), params=(ParamSpec(), ParamSpec())), B),
        "node 'a' has 1 trained blobs and 2 specifications",
    ),
    "a layer in two nodes": (graph(DATA, A, replace(B, parts=("a", "b"))), "layer 'a' is part of 2 nodes"),
    "an echo of two values": (
        graph(DATA, A, node("e", "y", "z q", Split(count=2), echo=True, parts=("a",))),
        "echo 'e' has 1 inputs and 2 outputs",
    ),
    "an owner that does not exist": (
        graph(DATA, A, replace(B, owner="q")),
        "the owner 'q' of node 'b' does not stand before it",
    ),
    "an owner that stands behind": (
        graph(DATA, replace(A, owner="b"), B),
        "the owner 'b' of node 'a' does not stand before it",
    ),
    "an owner that has one": (
        graph(DATA, A, replace(B, owner="a"), node("c", "z", "w", owner="b")),
        "the owner 'b' of node 'c' has an owner itself",
    ),
    "an owner that is another layer": (
        graph(DATA, A, node("b", "y", "z", TanH(), owner="a")),
        "the owner 'a' of node 'b' is another layer",
    ),
    "a layout of another rank": (graph(DATA, A, values={"y": value("y", layout=Layout.plain(3))}), "does not fit"),
    "a layout with blocks of another size": (
        graph(DATA, A, values={"y": value("y", layout=Layout.flat([Block((2, 4), (1, 0))]))}),
        "does not fit its shape 2x6",
    ),
    "a value without the batch that does not exist": (
        graph(DATA, A, unbatched=frozenset("q")),
        "value 'q' without the batch does not exist",
    ),
}

MISLAID = {
    "a layout that the layer does not give": (
        graph(DATA, A, B, values={"y": value("y", layout=TURNED)}, outputs=("z",)),
        ["node 'a' asks for value 'y' in", "node 'b' asks for value 'z' in"],
    ),
    "an output in an order that nobody can guess": (
        graph(DATA, A, values={i: value(i, layout=TURNED) for i in "xy"}),
        ["output 'y' is in"],
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_graph(kind: str) -> None:
    broken, message = BROKEN[kind]
    (found,) = violations(broken)
    assert message in found


@pytest.mark.parametrize("kind", MISLAID)
def test_layouts_that_the_layers_do_not_ask_for(kind: str) -> None:
    broken, messages = MISLAID[kind]
    assert violations(broken) == []
    found = violations(broken, laid_out=True)
    assert len(found) == len(messages)
    assert all(m in f for m, f in zip(messages, found, strict=True))


def test_a_sound_graph() -> None:
    check_graph(SOUND, laid_out=True)
    shared = graph(DATA, node("a", "x", "y", dense(6)), node("b", "y", "z", dense(6), owner="a"))
    assert isinstance(shared.nodes[1].layer, InnerProduct)
    check_graph(shared, laid_out=True)
    # An echo is a part of the layer that overwrote the blob; a source may have lost tops.
    check_graph(graph(DATA, A, node("e", "y", "x#2", Split(count=1), echo=True, parts=("a",))))
    check_graph(graph(replace(DATA, layer=Input(shapes=(SHAPE, SHAPE))), A))


def test_all_violations_are_in_one_error() -> None:
    broken = graph(DATA, A, A, outputs=("q",))
    with pytest.raises(
        BrokenGraphError, match=r"graph 'g' after fuse: 2 nodes .*'a'; .*'y' is written 2.*'q' does not"
    ):
        check_graph(broken, after="fuse")
