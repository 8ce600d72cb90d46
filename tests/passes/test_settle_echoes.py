"""Echoes: every case that `caffe2tf.passes.settle_echoes` numbers.

In all graphs ``view`` is an alias of ``x``, and ``x`` is overwritten in place: ``view#2`` is what ``view`` holds then.
"""

from __future__ import annotations

from caffe2tf.ir import Node
from caffe2tf.layers.shape.split import Split
from caffe2tf.passes.settle_echoes import settle_echoes
from tests.passes.graphs import build, echo, names, node, relu, source

START = (source("x"), node("view", Split(count=1), "x"), relu("r", "x", "x#2"))


def graph_nodes(*more: Node) -> tuple[Node, ...]:
    return (*START, echo("e", "x#2", "view#2"), *more)


def test_1_an_echo_that_nobody_reads_is_removed() -> None:
    graph = build(*graph_nodes(), outputs=("x#2",))
    done = settle_echoes(graph, keep_values=False)
    assert names(done) == ["x", "view", "r"]
    assert "view#2" not in done.values


def test_1_so_is_one_that_only_such_an_echo_reads() -> None:
    graph = build(*graph_nodes(echo("e2", "view#2", "x#3")), outputs=("x#2",))
    assert names(settle_echoes(graph, keep_values=False)) == ["x", "view", "r"]


def test_2_an_echo_that_is_read_stays() -> None:
    graph = build(*graph_nodes(relu("after", "view#2")), outputs=("x#2", "after"))
    assert "e" in names(settle_echoes(graph, keep_values=False))


def test_2_an_echo_that_is_an_output_stays() -> None:
    graph = build(*graph_nodes())
    assert graph.outputs == ("x#2", "view#2")
    done = settle_echoes(graph, keep_values=False)
    assert "e" in names(done)
    assert done.outputs == graph.outputs


def test_3_every_last_version_is_an_output_if_asked_for() -> None:
    graph = build(*graph_nodes(relu("r2", "x#2", "x#3"), echo("e2", "x#3", "view#3")), outputs=("x#3",))
    done = settle_echoes(graph, keep_values=True)
    assert names(done) == names(graph)
    assert done.outputs == ("x#3", "view#3")
