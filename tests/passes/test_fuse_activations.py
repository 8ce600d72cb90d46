"""Fusion of a layer and its activation, in the numbered cases of `fuse_activations`."""

from __future__ import annotations

from dataclasses import replace

from caffe2tf.layers.activation.activations import TanH
from caffe2tf.passes.fuse_activations import fuse_activations
from tests.passes.graphs import CONVOLUTION, build, by_name, dense, names, node, relu, source

DATA, DENSE = source("data"), node("fc", dense(), "data", "x")


def test_1_a_layer_and_its_activation_are_one() -> None:
    done = fuse_activations(build(DATA, DENSE, relu("r", "x", "x#2"), relu("after", "x#2")))
    fused = by_name(done, "fc")
    assert names(done) == ["data", "fc", "after"]
    assert (fused.layer, fused.outputs) == (replace(dense(), activation="relu"), ("x#2",))
    assert "x" not in done.values


def test_2_a_second_one_stays() -> None:
    done = fuse_activations(build(DATA, DENSE, relu("r", "x", "x#2"), node("t", TanH(), "x#2", "x#3")))
    assert [n.parts for n in done.nodes[1:]] == [("fc", "r"), ("t",)]


def test_3_a_layer_with_several_tops_takes_none() -> None:
    images = source("a", (2, 3, 4, 5)), source("b", (2, 3, 4, 5))
    graph = build(*images, node("conv", CONVOLUTION, "a b", "x y"), relu("r", "x", "x#2"))
    assert names(fuse_activations(graph)) == ["a", "b", "conv", "r"]
