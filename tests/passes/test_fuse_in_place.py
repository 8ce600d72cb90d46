"""Which nodes may be fused, in the numbered cases of `fuse_in_place`."""

from __future__ import annotations

from dataclasses import replace

from caffe2tf.ir import Node
from caffe2tf.layers.activation.activations import TanH
from caffe2tf.passes.fuse_activations import fuse_activations
from tests.passes.graphs import build, dense, node, relu, source

DATA, DENSE = source("data"), node("fc", dense(), "data", "x")


def parts(*nodes: Node, owner: str | None = None) -> list[tuple[str, ...]]:
    """Return which layers are one node after the activations of `nodes` are fused."""
    graph = build(DATA, *nodes)
    if owner:
        graph = replace(graph, nodes=(*graph.nodes[:-1], replace(graph.nodes[-1], owner=owner)))
    return [n.parts for n in fuse_activations(graph).nodes[1:]]


def test_1_a_blob_that_keeps_its_name_is_fused_and_one_that_is_kept_is_not() -> None:
    assert parts(DENSE, relu("r", "x", "x#2")) == [("fc", "r")]
    assert parts(DENSE, relu("r", "x", "y")) == [("fc",), ("r",)]


def test_2_a_blob_that_another_node_reads_before_is_kept() -> None:
    assert parts(DENSE, node("before", TanH(), "x"), relu("r", "x", "x#2")) == [("fc",), ("before",), ("r",)]


def test_3_a_shared_layer_is_left_alone() -> None:
    """Neither the layer that others call nor one that calls another's is fused."""
    in_place = relu("r", "x", "x#2")
    other = node("fc2", dense(), "data")
    assert parts(DENSE, in_place, other, owner="fc") == [("fc",), ("r",), ("fc2",)]
    owned = node("fc2", dense(), "data", "y", owner="fc")
    assert parts(DENSE, owned, relu("r", "y", "y#2")) == [("fc",), ("fc2",), ("r",)]
