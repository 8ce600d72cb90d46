"""Losses that compare two blobs: recordings of Caffe, and every parameter against loops in Caffe's order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from caffe2tf.ir.layer import Batch
from caffe2tf.layers.loss.pair_losses import ContrastiveLoss, EuclideanLoss, HingeLoss, SigmoidCrossEntropyLoss
from tests.builders import layer
from tests.layers.emitted import emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer


def loss_layer(type_: str, parameters: str = "", *, bottoms: str = "xy", tops: Sequence[str] = ("loss",)) -> str:
    return layer(type_, "loss", bottoms, tops, parameters)


def loss(text: str, fed: Mapping[str, Array]) -> Array:
    out = run_layer(text, fed)["loss"]
    assert out.shape == ()
    return out


def draw(rng: np.random.Generator, *shapes: tuple[int, ...]) -> dict[str, Array]:
    return {n: (rng.standard_normal(s) * 2).astype(np.float32) for n, s in zip("xyz", shapes, strict=False)}


def sigmoid_cross_entropy(x: Array, t: Array, mode: str, ignored: int | None) -> float:
    total, valid = 0.0, 0
    for xi, ti in zip(x.reshape(-1).astype(float), t.reshape(-1).astype(float), strict=True):
        if int(ti) == ignored:
            continue
        total -= xi * (ti - (xi >= 0)) - math.log(1 + math.exp(xi - 2 * xi * (xi >= 0)))
        valid += 1
    return total / max(1, {"FULL": x.size, "VALID": valid, "BATCH_SIZE": len(x), "NONE": 1}[mode])


@pytest.mark.parametrize("case", recorded("euclidean_", "hinge_", "sigmoid_cross_entropy"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize(
    "shapes",
    [((3, 4), (3, 4)), ((2, 3, 4, 5), (2, 3, 4, 5)), ((2, 3, 4, 5), (2, 60)), ((5,), (5, 1)), ((2, 6), (2, 2, 3))],
)
def test_euclidean_loss(shapes: tuple[tuple[int, ...], ...], rng: np.random.Generator) -> None:
    fed = draw(rng, *shapes)
    pairs = zip(fed["x"].reshape(-1).tolist(), fed["y"].reshape(-1).tolist(), strict=True)
    want = math.fsum((a - b) ** 2 for a, b in pairs) / len(fed["x"]) / 2
    assert_matches(loss(loss_layer("EuclideanLoss"), fed), want)


@pytest.mark.parametrize("weight", [0.1, 3])
def test_a_loss_weight_does_not_change_the_top(weight: float, rng: np.random.Generator) -> None:
    fed = draw(rng, (3, 4), (3, 4))
    weighted = loss(loss_layer("EuclideanLoss", f"loss_weight: {weight}"), fed)
    assert weighted == loss(loss_layer("EuclideanLoss"), fed)


@pytest.mark.parametrize(
    "shapes", [((3, 4), (3, 4)), ((2, 3, 4, 5), (2, 3, 4, 5)), ((2, 3, 1, 4), (2, 12)), ((5,), (5,))]
)
@pytest.mark.parametrize(
    ("parameters", "mode"),
    [
        ("", "BATCH_SIZE"),
        ("normalize: true", "VALID"),
        ("normalize: false", "BATCH_SIZE"),
        ("normalization: FULL", "FULL"),
        ("normalization: VALID", "VALID"),
        ("normalization: BATCH_SIZE normalize: true", "BATCH_SIZE"),
        ("normalization: NONE", "NONE"),
    ],
)
@pytest.mark.parametrize("ignored", [None, 0, -1])
def test_sigmoid_cross_entropy_loss(
    shapes: tuple[tuple[int, ...], ...], parameters: str, mode: str, ignored: int | None, rng: np.random.Generator
) -> None:
    fed = draw(rng, *shapes)  # targets between -1 and 1 are truncated to 0
    text = parameters + ("" if ignored is None else f" ignore_label: {ignored}")
    have = loss(loss_layer("SigmoidCrossEntropyLoss", f"loss_param {{ {text} }}"), fed)
    assert_matches(have, sigmoid_cross_entropy(fed["x"], fed["y"], mode, ignored))


@pytest.mark.parametrize("mode", ["VALID", "NONE"])
def test_the_loss_is_zero_if_all_targets_are_ignored(mode: str) -> None:
    fed = {"x": np.ones((2, 3), np.float32), "y": np.full((2, 3), 7, np.float32)}
    assert (
        loss(loss_layer("SigmoidCrossEntropyLoss", f"loss_param {{ ignore_label: 7 normalization: {mode} }}"), fed) == 0
    )


@pytest.mark.parametrize("shapes", [((6, 4), (6, 4), (6,)), ((6, 4, 1, 1), (6, 4), (6, 1, 1, 1)), ((6,), (6,), (6, 1))])
@pytest.mark.parametrize("margin", [1.0, 2.5])
@pytest.mark.parametrize("legacy", [False, True])
def test_contrastive_loss(
    shapes: tuple[tuple[int, ...], ...], margin: float, legacy: bool, rng: np.random.Generator
) -> None:
    fed = draw(rng, *shapes)
    fed["y"] = fed["x"].reshape(fed["y"].shape) + fed["y"] * np.float32(0.3)
    fed["z"] = np.array([0, 1, 0, -2, 0.9, 1.5], np.float32).reshape(shapes[2])
    total = 0.0
    for a, b, s in zip(fed["x"].reshape(6, -1), fed["y"].reshape(6, -1), fed["z"].reshape(-1), strict=True):
        squared = float(((a.astype(float) - b) ** 2).sum())
        if int(s):
            total += squared
        else:
            total += max(margin - squared, 0) if legacy else max(margin - math.sqrt(squared), 0) ** 2
    text = f"contrastive_loss_param {{ margin: {margin} legacy_version: {str(legacy).lower()} }}"
    assert_matches(loss(loss_layer("ContrastiveLoss", text, bottoms="xyz"), fed), total / 6 / 2)


def test_contrastive_loss_of_equal_items() -> None:
    fed = {"x": np.ones((2, 3), np.float32), "y": np.ones((2, 3), np.float32), "z": np.zeros(2, np.float32)}
    assert_matches(loss(loss_layer("ContrastiveLoss", bottoms="xyz"), fed), 0.5)


@pytest.mark.parametrize("shapes", [((4, 6), (4,)), ((4, 3, 2, 5), (4, 1, 1, 1)), ((4, 6, 1, 1), (4, 1))])
@pytest.mark.parametrize("norm", [None, "L1", "L2"])
def test_hinge_loss(shapes: tuple[tuple[int, ...], ...], norm: str | None, rng: np.random.Generator) -> None:
    fed = draw(rng, shapes[0])
    rows = fed["x"].reshape(4, -1)
    labels = rng.integers(0, rows.shape[1], 4)
    fed["y"] = (labels + 0.5).reshape(shapes[1]).astype(np.float32)  # labels are truncated
    total = 0.0
    for row, label in zip(rows.astype(float), labels, strict=True):
        for i, v in enumerate(row):
            term = max(0, 1 + (-v if i == label else v))
            total += term**2 if norm == "L2" else term
    text = "" if norm is None else f"hinge_loss_param {{ norm: {norm} }}"
    assert_matches(loss(loss_layer("HingeLoss", text), fed), total / 4)


@pytest.mark.parametrize("shapes", [((4, 6), (4,)), ((4, 3, 2, 5), (4, 1, 1, 1))])
def test_multinomial_logistic_loss(shapes: tuple[tuple[int, ...], ...], rng: np.random.Generator) -> None:
    x = rng.random(shapes[0]).astype(np.float32)
    x.reshape(4, -1)[0, 2] = 0  # counts as 1e-20
    labels = np.array([2, 0, 5, 1])
    total = -sum(math.log(max(float(r[i]), 1e-20)) for r, i in zip(x.reshape(4, -1), labels, strict=True))
    fed = {"x": x, "y": labels.reshape(shapes[1]).astype(np.float32)}
    assert_matches(loss(loss_layer("MultinomialLogisticLoss"), fed), total / 4)


@pytest.mark.parametrize("type_", ["HingeLoss", "MultinomialLogisticLoss"])
@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_without_a_class_gives_nan(type_: str, label: int) -> None:
    fed = {"x": np.ones((2, 3), np.float32), "y": np.array([1, label], np.float32)}
    assert np.isnan(loss(loss_layer(type_), fed))


def test_a_loss_takes_any_batch_size_and_needs_no_top() -> None:
    shapes = {"x": (4, 6), "y": (4, 6)}
    kept = emitted(loss_layer("EuclideanLoss"), shapes, keep_losses=True)
    assert 'keras.Input((6,), name="x")' in kept
    assert 'EuclideanLoss(name="loss")([' in kept
    assert 'EuclideanLoss(name="loss")([' in emitted(loss_layer("EuclideanLoss", tops=()), shapes, keep_losses=True)


def test_trace_batch() -> None:
    euclidean = EuclideanLoss()
    assert euclidean.trace_batch([True, True], [(4, 3), (4, 3)], [()]) is Batch.KEPT
    assert euclidean.trace_batch([True, True], [(4, 3), (2, 6)], [()]) is Batch.FIXED


def test_a_sigmoid_remains_if_the_loss_is_left_out() -> None:
    text = layer("ReLU", "relu", ["x"]) + layer("SigmoidCrossEntropyLoss", "loss", ["relu", "y"])
    source = emitted(text, {"x": (4, 6), "y": (4, 6)})
    assert 'layers.Activation("sigmoid", name="loss")' in source
    assert 'name="y"' not in source
    assert (ContrastiveLoss.first_target, HingeLoss.first_target, SigmoidCrossEntropyLoss.first_target) == (2, 1, 1)


@pytest.mark.parametrize(
    ("type_", "shapes", "message"),
    [
        ("EuclideanLoss", ((3, 4), (2, 6)), "same extent along axis 0, not 3 and 2"),
        ("EuclideanLoss", ((3, 4), (3, 5)), r"per item, not 4 \(3x4\) and 5 \(3x5\)"),
        ("EuclideanLoss", ((3, 4, 1, 1, 2), (3, 8)), "at most 4 axes, not 3x4x1x1x2"),
        ("SigmoidCrossEntropyLoss", ((3, 4), (3, 5)), r"number of values, not 12 \(3x4\) and 15 \(3x5\)"),
        ("HingeLoss", ((3, 4), (4,)), "same extent along axis 0, not 3 and 4"),
        ("HingeLoss", ((3, 1, 1, 1, 4), (3,)), "at most 4 axes"),
        ("MultinomialLogisticLoss", ((3, 4), (3, 2)), r"one label for each item, \(N\) or \(N, 1\), not 3x2"),
        ("ContrastiveLoss", ((3, 4), (3, 5), (3,)), "same number of channels, not 4 and 5"),
        ("ContrastiveLoss", ((3, 4, 2), (3, 4), (3,)), "bottom 0 must have height and width 1, not 3x4x2"),
        ("ContrastiveLoss", ((3, 4), (3, 4), (3, 2)), "one value for each pair, not 2 channels"),
        ("ContrastiveLoss", ((3, 4), (3, 4), (2,)), "one value for each of 3 pairs, not 2"),
        ("ContrastiveLoss", ((3, 4), (3, 4)), "takes 3 bottoms, 2 given"),
        ("EuclideanLoss", ((3, 4), (3, 4), (3, 4)), "takes 2 bottoms, 3 given"),
    ],
)
def test_errors(type_: str, shapes: tuple[tuple[int, ...], ...], message: str) -> None:
    fed = {n: np.ones(s, np.float32) for n, s in zip("xyz", shapes, strict=False)}
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(loss_layer(type_, bottoms="".join(fed)), fed)
