"""What a graph says about its values: readers, last versions, outputs."""

from __future__ import annotations

import numpy as np

from caffe2tf.ir import Graph, Layout, Node, NodeBlob, Value
from caffe2tf.layers.activation.activations import TanH

SHAPE = (2, 3)


def value(id_: str) -> Value:
    return Value(id=id_, blob=id_.partition("#")[0], shape=SHAPE, layout=Layout.plain(2))


def node(name: str, inputs: str, outputs: str, *, echo: bool = False) -> Node:
    return Node(name=name, layer=TanH(), inputs=tuple(inputs.split()), outputs=tuple(outputs.split()), echo=echo)


def graph(*nodes: Node) -> Graph:
    ids = {i for n in nodes for i in (*n.inputs, *n.outputs)}
    return Graph(name="g", nodes=nodes, values={i: value(i) for i in ids}, outputs=())


def test_readers_count_each_bottom() -> None:
    g = graph(node("a", "", "x"), node("b", "x x", "y"))
    assert [n.name for n in g.readers()["x"]] == ["b", "b"]
    assert g.readers()["y"] == []


def test_the_final_value_of_a_blob_is_the_last_one_written() -> None:
    g = graph(node("a", "", "x"), node("b", "x", "x#2"), node("c", "x#2", "y"))
    assert {b: v.id for b, v in g.final_values().items()} == {"x": "x#2", "y": "y"}
    assert g.unread() == ("y",)


def test_an_echo_is_no_reader_and_makes_no_output_of_a_blob_that_was_read() -> None:
    """x is read by a layer, so the echo of a later write to its memory is no output; z is not, so its echo is."""
    g = graph(
        node("a", "", "x z"),
        node("b", "x", "y"),
        node("c", "y", "y#2"),
        node("e1", "y#2", "x#2", echo=True),
        node("e2", "y#2", "z#2", echo=True),
    )
    assert g.unread() == ("z#2", "y#2")


def test_values_without_a_writer_are_dropped() -> None:
    g = graph(node("a", "", "x"), node("b", "x", "y"))
    assert set(g.with_nodes(g.nodes[:1]).values) == {"x"}


class Pages:
    def release(self) -> None: ...

    def release_range(self, start: int, stop: int) -> None: ...


def test_a_blob_as_a_weight_is_released_once_written(rng: np.random.Generator) -> None:
    pages, array = Pages(), rng.standard_normal((2, 3)).astype("f4")
    blob = NodeBlob(array=array, memory=pages)
    for weight, want in [
        (blob.weight(), array),
        (blob.weight(array.T), array.T),
        (blob.weight(array.T, (3, 1, 2)), array.T[:, None]),
        (blob.weight(shape=(6,)), array.reshape(6)),
    ]:
        np.testing.assert_array_equal(weight.array(), want)
        assert np.shares_memory(weight.parts[0], array)
        assert weight.memory == (pages,)


def test_a_blob_that_was_drawn_has_nothing_to_release() -> None:
    assert NodeBlob(array=np.ones(3, "f4")).weight().memory == ()
