"""Fusion of BatchNorm and Scale, in the numbered cases of `fuse_scale`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caffe2tf.ir import NodeBlob
from caffe2tf.ir.filler import Filler
from caffe2tf.layers.arithmetic.scale import Scale
from caffe2tf.layers.normalization.batch_norm import BatchNorm
from caffe2tf.passes.fuse_scale import fuse_scale
from tests.passes.graphs import build, by_name, dense, names, node, relu, source

DATA, DENSE = source("data"), node("fc", dense(), "data", "x")
NORM = BatchNorm(global_stats=True, training=False, momentum=0.9, epsilon=1e-5)
SCALE = Scale(axis=1, num_axes=1, computed=False, bias=True, filler=Filler(), bias_filler=Filler())


def test_1_a_batch_norm_and_its_scale_are_one() -> None:
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
def test_2_they_stay_apart_if_one_keras_layer_cannot_be_both(norm: BatchNorm, scale: Scale) -> None:
    graph = build(DATA, node("bn", norm, "data", "x"), node("scale", scale, "x", "x#2"))
    assert names(fuse_scale(graph)) == ["data", "bn", "scale"]


def test_2_so_does_a_scale_of_another_layer() -> None:
    assert len(fuse_scale(build(DATA, DENSE, node("scale", SCALE, "x", "x#2"))).nodes) == 3
