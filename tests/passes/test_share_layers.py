"""Sharing: every case that `caffe2tf.passes.share_layers` numbers."""

from __future__ import annotations

from caffe2tf.passes.share_layers import share_layers
from tests.passes.graphs import build, dense, node, source


def test_1_equal_layers_that_share_all_blobs_have_one_owner() -> None:
    fcs = [node(n, dense(), "data") for n in ("a", "b", "c")]
    done = share_layers(build(source("data"), *fcs, shared={"b": "a", "c": "a"}))
    assert {n.name: n.owner for n in done.nodes} == {"data": None, "a": None, "b": "a", "c": "a"}


def test_2_layers_that_differ_do_not() -> None:
    fcs = [node("a", dense(5), "data"), node("b", dense(4), "data")]
    done = share_layers(build(source("data"), *fcs, shared={"b": "a"}))
    assert {n.owner for n in done.nodes} == {None}
