"""Passes over very large networks: their time grows linearly with the network, not quadratically.

The limits are CPU time: many times what a pass takes, and a fraction of what a quadratic one would take.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from caffe2tf.ir import Graph, Layout, Node, Value
from caffe2tf.layers import Layer
from caffe2tf.layers.activation.activations import ReLU
from caffe2tf.layers.data.sinks import Silence
from caffe2tf.layers.data.source import Input
from caffe2tf.layers.loss.pair_losses import EuclideanLoss
from caffe2tf.passes.drop_losses import drop_losses
from caffe2tf.passes.drop_sinks import drop_sinks


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds


def node(name: str, layer: Layer, inputs: tuple[str, ...]) -> Node:
    return Node(name=name, layer=layer, inputs=inputs, outputs=(name,))


def graph_of(nodes: list[Node]) -> Graph:
    shape = (2, 3)
    ids = [i for n in nodes for i in n.outputs]
    values = {i: Value(id=i, blob=i, shape=shape, layout=Layout.plain(2)) for i in ids}
    graph = Graph(name="n", nodes=tuple(nodes), values=values, outputs=())
    return replace(graph, outputs=graph.unread())


def source(name: str) -> Node:
    return node(name, Input(shapes=((2, 3),), names=(name,)), ())


def test_many_silenced_blobs() -> None:
    count = 30_000
    relus = [node(f"r{i}", ReLU(), ("d",)) for i in range(count)]
    sinks = [Node(name=f"s{i}", layer=Silence(), inputs=(f"r{i}",), outputs=()) for i in range(count)]
    graph = graph_of([source("d"), *relus, node("kept", ReLU(), ("d",)), *sinks])
    with within(3):
        done = drop_sinks(graph, keep_values=False)
    assert [n.name for n in done.nodes] == ["d", "kept"]
    assert done.outputs == ("kept",)


def test_a_long_chain_of_layers_before_a_target() -> None:
    count = 10_000
    way = [node(f"t{i}", ReLU(), (f"t{i - 1}" if i else "label",)) for i in range(count)]
    loss = node("loss", EuclideanLoss(), ("r", way[-1].name))
    graph = graph_of([source("d"), source("label"), node("r", ReLU(), ("d",)), *way, loss])
    with within(3):
        done = drop_losses(graph)
    assert [n.name for n in done.nodes] == ["d", "r"]
    assert done.outputs == ("r",)
