"""Losses: every case that `caffe2tf.passes.drop_losses` numbers."""

from __future__ import annotations

import pytest

from caffe2tf.errors import UnsupportedError
from caffe2tf.layers.activation.softmax import Softmax
from caffe2tf.layers.arithmetic.eltwise import Eltwise
from caffe2tf.layers.loss.fork_losses import ForkLoss
from caffe2tf.layers.loss.pair_losses import EuclideanLoss
from caffe2tf.passes.drop_losses import drop_losses
from tests.passes.graphs import SOFTMAX_LOSS, build, by_name, dense, names, node, relu, silence, source

DATA, LABEL = source("data"), source("label", (2,))
SUM = Eltwise(operation="SUM")


def test_1_a_loss_becomes_the_activation_that_it_contains() -> None:
    graph = build(DATA, LABEL, node("fc", dense(), "data"), node("loss", SOFTMAX_LOSS, "fc label"))
    done = drop_losses(graph)
    assert names(done) == ["data", "fc", "loss"]
    loss = by_name(done, "loss")
    assert (loss.layer, loss.inputs, loss.outputs, loss.parts) == (Softmax(axis=1), ("fc",), ("prob",), ("loss",))
    assert done.outputs == ("prob",)
    assert done.values["prob"].shape == (2, 5)
    assert [(n.layer, n.message) for n in done.notes] == [("loss", "SoftmaxWithLoss becomes Softmax, blob 'prob'")]


def test_1_its_second_top_is_the_blob_of_the_activation() -> None:
    done = drop_losses(build(DATA, LABEL, node("loss", SOFTMAX_LOSS, "data label", "loss scores")))
    assert by_name(done, "loss").outputs == done.outputs == ("scores",)


def test_1_only_the_last_loss_gives_prob_and_names_that_are_taken_are_avoided() -> None:
    losses = [node(f"loss{i}", SOFTMAX_LOSS, "data label") for i in (1, 2)]
    assert drop_losses(build(DATA, LABEL, *losses)).outputs == ("loss1-prob", "prob")
    taken = relu("prob", "data"), relu("loss1-prob", "data")
    outputs = drop_losses(build(DATA, LABEL, *taken, *losses)).outputs
    assert outputs[:2] == ("prob", "loss1-prob")
    assert len(set(outputs)) == 4
    assert outputs[3] == "loss2-prob"


def test_2_a_loss_without_an_activation_is_removed_with_what_depends_on_it() -> None:
    graph = build(
        DATA, source("truth"), relu("r", "data"), node("loss", EuclideanLoss(), "r truth"), silence("s", "loss")
    )
    done = drop_losses(graph)
    assert names(done) == ["data", "r"]
    assert done.outputs == ("r",)
    (note,) = done.notes
    assert (note.layer, note.message) == ("loss", "EuclideanLoss is left out: it serves training or testing")


def test_3_a_loss_whose_value_another_layer_needs_stays_with_its_targets() -> None:
    graph = build(
        DATA,
        LABEL,
        node("loss", SOFTMAX_LOSS, "data label"),
        relu("half", "loss"),
        node("l2", SOFTMAX_LOSS, "data label"),
    )
    done = drop_losses(graph)
    assert by_name(done, "loss").layer == SOFTMAX_LOSS
    assert by_name(done, "label").outputs == ("label",)
    assert isinstance(by_name(done, "l2").layer, Softmax)
    assert done.outputs == ("half", "prob")


def test_3_what_leads_to_removed_losses_alone_needs_no_loss() -> None:
    graph = build(
        DATA,
        LABEL,
        node("loss", SOFTMAX_LOSS, "data label"),
        relu("half", "loss"),
        node("metric", ForkLoss(type="Metric"), "half"),
    )
    done = drop_losses(graph)
    assert names(done) == ["data", "loss"]
    assert done.outputs == ("prob",)


def test_3_one_that_cannot_be_computed_is_an_error() -> None:
    graph = build(DATA, node("odd", ForkLoss(type="LpqLoss"), "data"), relu("half", "odd"))
    with pytest.raises(UnsupportedError, match="layer 'odd': another layer reads the value of this LpqLoss"):
        drop_losses(graph)


def test_4_computable_losses_stay_if_asked_for() -> None:
    graph = build(DATA, LABEL, node("loss", SOFTMAX_LOSS, "data label"), node("odd", ForkLoss(type="Odd"), "data"))
    done = drop_losses(graph, keep_computable=True)
    assert names(done) == ["data", "label", "loss"]
    assert done.outputs == ("loss",)
    assert len(done.notes) == 1


def test_5_what_only_prepares_targets_is_removed() -> None:
    both = source("both", (2, 3), (2, 3), outputs="data label")
    graph = build(both, relu("t", "label"), relu("r", "data"), node("loss", EuclideanLoss(), "r t"))
    done = drop_losses(graph)
    assert names(done) == ["both", "r"]
    assert by_name(done, "both").outputs == ("data",)
    assert done.outputs == ("r",)


def test_5_targets_that_another_layer_reads_stay() -> None:
    nodes = source("truth"), relu("r", "data"), relu("seen", "truth"), node("loss", EuclideanLoss(), "r truth")
    done = drop_losses(build(DATA, *nodes))
    assert names(done) == ["data", "truth", "r", "seen"]
    assert done.outputs == ("r", "seen")


def test_6_a_prediction_that_also_prepares_its_target_stays() -> None:
    graph = build(
        DATA, source("truth"), relu("r", "data"), node("t", SUM, "truth r"), node("loss", EuclideanLoss(), "r t")
    )
    done = drop_losses(graph)
    assert names(done) == ["data", "r"]
    assert done.outputs == ("r",)


@pytest.mark.parametrize("bottoms", ["r data", "data r"])
def test_7_a_prediction_stays_on_either_side(bottoms: str) -> None:
    done = drop_losses(build(DATA, relu("r", "data"), node("loss", EuclideanLoss(), bottoms)))
    assert names(done) == ["data", "r"]
    assert done.outputs == ("r",)


def test_a_graph_without_losses_is_returned_as_it_is() -> None:
    graph = build(DATA, relu("r", "data"))
    assert drop_losses(graph) is graph
