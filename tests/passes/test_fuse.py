"""Fusions: every case that `fuse_in_place`, `fuse_scale` and `fuse_activations` number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caffe2tf.ir import Node, NodeBlob
from caffe2tf.ir.filler import Filler
from caffe2tf.layers.activation.activations import TanH
from caffe2tf.layers.arithmetic.scale import Scale
from caffe2tf.layers.normalization.batch_norm import BatchNorm
from caffe2tf.passes.fuse_activations import fuse_activations
from caffe2tf.passes.fuse_scale import fuse_scale
from tests.passes.graphs import CONVOLUTION, build, by_name, dense, names, node, relu, source

DATA, DENSE = source("data"), node("fc", dense(), "data", "x")
NORM = BatchNorm(global_stats=True, training=False, momentum=0.9, epsilon=1e-5)
SCALE = Scale(axis=1, num_axes=1, computed=False, bias=True, filler=Filler(), bias_filler=Filler())


def parts(*nodes: Node, owner: str | None = None) -> list[tuple[str, ...]]:
    """Which layers are one node after the activations of ``nodes`` are fused."""
    graph = build(DATA, *nodes)
    if owner:
        graph = replace(graph, nodes=(*graph.nodes[:-1], replace(graph.nodes[-1], owner=owner)))
    return [n.parts for n in fuse_activations(graph).nodes[1:]]


def test_in_place_1_a_blob_that_keeps_its_name_is_fused_and_one_that_is_kept_is_not() -> None:
    assert parts(DENSE, relu("r", "x", "x#2")) == [("fc", "r")]
    assert parts(DENSE, relu("r", "x", "y")) == [("fc",), ("r",)]


def test_in_place_2_a_blob_that_another_node_reads_before_is_kept() -> None:
    assert parts(DENSE, node("before", TanH(), "x"), relu("r", "x", "x#2")) == [("fc",), ("before",), ("r",)]


def test_in_place_3_a_shared_layer_is_left_alone() -> None:
    """Neither the layer that others call nor one that calls another's is fused."""
    in_place = relu("r", "x", "x#2")
    other = node("fc2", dense(), "data")
    assert parts(DENSE, in_place, other, owner="fc") == [("fc",), ("r",), ("fc2",)]
    owned = node("fc2", dense(), "data", "y", owner="fc")
    assert parts(DENSE, owned, relu("r", "y", "y#2")) == [("fc",), ("fc2",), ("r",)]


def test_scale_1_a_batch_norm_and_its_scale_are_one() -> None:
    blobs = [NodeBlob(array=np.full(3, i, np.float32)) for i in range(5)]
    norm = node("bn", NORM, "data", "x", blobs=tuple(blobs[:3]))
    scale = node("scale", SCALE, "x", "x#2", blobs=tuple(blobs[3:]))
    done = fuse_scale(build(DATA, norm, scale, relu("r", "x#2")))
    fused = by_name(done, "bn")
    assert names(done) == ["data", "bn", "r"]
    assert (fused.parts, fused.outputs, fused.blobs) == (("bn", "scale"), ("x#2",), tuple(blobs))
    assert fused.layer == replace(NORM, gamma=True, beta=True)


@pytest.mark.parametrize(
    ("norm", "scale"),
    [
        (NORM, replace(SCALE, axis=0)),
        (NORM, replace(SCALE, num_axes=0)),
        (replace(NORM, gamma=True, beta=True, own_blobs=5), SCALE),
        (replace(NORM, global_stats=False), SCALE),
        (replace(NORM, training=True), SCALE),
    ],
    ids=["batch axis", "one number", "own scale", "batch statistics", "frozen statistics"],
)
def test_scale_2_they_stay_apart_if_one_keras_layer_cannot_be_both(norm: BatchNorm, scale: Scale) -> None:
    graph = build(DATA, node("bn", norm, "data", "x"), node("scale", scale, "x", "x#2"))
    assert names(fuse_scale(graph)) == ["data", "bn", "scale"]


def test_scale_2_so_does_a_scale_of_another_layer() -> None:
    assert len(fuse_scale(build(DATA, DENSE, node("scale", SCALE, "x", "x#2"))).nodes) == 3


def test_activations_1_a_layer_and_its_activation_are_one() -> None:
    done = fuse_activations(build(DATA, DENSE, relu("r", "x", "x#2"), relu("after", "x#2")))
    fused = by_name(done, "fc")
    assert names(done) == ["data", "fc", "after"]
    assert (fused.layer, fused.outputs) == (replace(dense(), activation="relu"), ("x#2",))
    assert "x" not in done.values


def test_activations_2_a_second_one_stays() -> None:
    assert parts(DENSE, relu("r", "x", "x#2"), node("t", TanH(), "x#2", "x#3")) == [("fc", "r"), ("t",)]


def test_activations_3_a_layer_with_several_tops_takes_none() -> None:
    images = source("a", (2, 3, 4, 5)), source("b", (2, 3, 4, 5))
    graph = build(*images, node("conv", CONVOLUTION, "a b", "x y"), relu("r", "x", "x#2"))
    assert names(fuse_activations(graph)) == ["a", "b", "conv", "r"]
