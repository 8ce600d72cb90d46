"""Sinks: every case that `caffe2tf.passes.drop_sinks` numbers."""

from __future__ import annotations

from caffe2tf.layers.data.sinks import Implicit
from caffe2tf.passes.drop_sinks import drop_sinks
from tests.passes.graphs import build, by_name, echo, names, node, relu, silence, source

DATA = source("data")


def test_1_what_only_a_sink_reads_is_removed() -> None:
    graph = build(DATA, relu("a", "data"), relu("b", "a"), relu("kept", "data"), silence("s", "b"))
    done = drop_sinks(graph, keep_values=False)
    assert names(done) == ["data", "kept"]
    assert done.outputs == ("kept",)


def test_1_what_another_layer_reads_too_stays() -> None:
    graph = build(DATA, relu("a", "data"), relu("kept", "a"), silence("s", "a"))
    done = drop_sinks(graph, keep_values=False)
    assert names(done) == ["data", "a", "kept"]
    assert done.outputs == ("kept",)


def test_1_an_echo_that_goes_leaves_the_blob_that_it_shows() -> None:
    graph = build(DATA, relu("a", "data", "b"), echo("e", "b", "data#2"), silence("s", "data#2"))
    done = drop_sinks(graph, keep_values=False)
    assert names(done) == ["data", "a"]
    assert done.outputs == ("b",)


def test_2_what_an_end_reads_stays_an_output() -> None:
    graph = build(DATA, relu("a", "data"), node("end", Implicit(), "a", ""), relu("b", "data"))
    done = drop_sinks(graph, keep_values=False)
    assert names(done) == ["data", "a", "b"]
    assert done.outputs == ("a", "b")


def test_3_a_source_that_reads_blobs_is_an_input() -> None:
    raw, augmented = source("raw"), source("augmented", (2, 3), outputs="image")
    graph = build(raw, relu("a", "raw"), node("augmented", augmented.layer, "a", "image"), relu("r", "image"))
    done = drop_sinks(graph, keep_values=False)
    assert names(done) == ["augmented", "r"]
    assert by_name(done, "augmented").inputs == ()
    assert done.outputs == ("r",)


def test_4_values_are_outputs_if_asked_for() -> None:
    graph = build(DATA, relu("a", "data"), relu("kept", "data"), silence("s", "a"))
    done = drop_sinks(graph, keep_values=True)
    assert names(done) == ["data", "a", "kept"]
    assert done.outputs == ("a", "kept")


def test_a_graph_without_sinks_is_returned_as_it_is() -> None:
    graph = build(DATA, relu("a", "data"))
    assert drop_sinks(graph, keep_values=False) is graph
