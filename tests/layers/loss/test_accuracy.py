"""Accuracy: recordings of Caffe, and every parameter against loops in Caffe's order."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.builders import layer
from tests.layers.emitted import emitted
from tests.layers.oracle import Array, assert_matches, check_recorded, recorded, run_layer

Shape = tuple[int, ...]


def accuracy(x: Array, labels: Array, axis: int, top_k: int, ignored: int | None) -> tuple[float, list[float]]:
    axis %= x.ndim
    outer, classes, inner = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    flat, hits, seen = x.reshape(outer, classes, inner), [0] * classes, [0] * classes
    for i in range(outer):
        for j in range(inner):
            label = int(labels.reshape(-1)[i * inner + j])
            if label == ignored:
                continue
            seen[label] += 1
            better = sum(flat[i, k, j] >= flat[i, label, j] for k in range(classes)) - 1
            hits[label] += better < top_k
    shares = [h / s if s else 0 for h, s in zip(hits, seen, strict=True)]
    return sum(hits) / sum(seen) if sum(seen) else 0, shares


def accuracy_layer(parameters: str = "", *, tops: int = 2) -> str:
    return layer("Accuracy", "out", "xy", ["share", "classes"][:tops], f"accuracy_param {{ {parameters} }}")


@pytest.mark.parametrize("case", recorded("accuracy_"))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize(
    ("shape", "axis", "labels"),
    [
        ((40, 6), 1, (40,)),
        ((40, 6), -1, (40, 1, 1, 1)),
        ((2, 3, 4, 5), 1, (2, 1, 4, 5)),
        ((2, 3, 4, 5), 1, (40,)),
        ((2, 3, 4, 5), 2, (2, 3, 5)),
        ((2, 3, 4, 5), 3, (2, 12)),
        ((5, 30), 0, (30,)),
    ],
)
@pytest.mark.parametrize("top_k", [1, 2, 3])
@pytest.mark.parametrize("ignored", [None, 2, 255])
def test_accuracy(
    shape: Shape, axis: int, labels: Shape, top_k: int, ignored: int | None, rng: np.random.Generator
) -> None:
    x = (rng.integers(-3, 4, shape) / 2).astype(np.float32)  # many ties
    y = rng.integers(0, shape[axis], labels).astype(np.float32)
    if ignored == 255:
        y.reshape(-1)[::3] = 255
    y[y == 1] = 0  # class 1 has no labels
    text = f"axis: {axis} top_k: {top_k}" + ("" if ignored is None else f" ignore_label: {ignored}")
    out = run_layer(accuracy_layer(text), {"x": x, "y": y})
    share, classes = accuracy(x, y, axis, top_k, ignored)
    assert out["share"].shape == ()
    assert_matches(out["share"], share)
    assert_matches(out["classes"], classes)


def test_the_second_top_is_optional(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((20, 3)).astype(np.float32), rng.integers(0, 3, 20).astype(np.float32)
    out = run_layer(accuracy_layer(tops=1), {"x": x, "y": y})
    assert_matches(out["share"], accuracy(x, y, 1, 1, None)[0])
    assert "classes" not in out


def test_the_accuracy_is_zero_if_all_labels_are_ignored() -> None:
    out = run_layer(
        accuracy_layer("ignore_label: 4"), {"x": np.ones((2, 3), np.float32), "y": np.full(2, 4, np.float32)}
    )
    assert out["share"] == 0
    assert out["classes"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_without_a_class_gives_nan(label: int) -> None:
    fed = {"x": np.ones((2, 3), np.float32), "y": np.array([1, label], np.float32)}
    assert np.isnan(run_layer(accuracy_layer(), fed)["share"])


def test_emitted_code() -> None:
    shapes = {"x": (40, 6), "y": (40,)}
    text = accuracy_layer("top_k: 5", tops=1)
    source = emitted(text, shapes, keep_losses=True)
    assert 'Accuracy(top_k=5, name="out")([' in source
    assert 'keras.Input((6,), name="x")' in source
    assert "Accuracy(" not in emitted(layer("ReLU", "relu", ["x"]) + text, shapes)


@pytest.mark.parametrize(
    ("parameters", "shapes", "message"),
    [
        ("top_k: 5", ((3, 4), (3,)), r"top_k \(5\) must be at most the number of classes, 4"),
        ("", ((3, 4), (3, 2)), "one label for each prediction: 3"),
        ("axis: 2", ((3, 4), (3,)), "accuracy_param.axis: axis 2 is out of range"),
    ],
)
def test_errors(parameters: str, shapes: tuple[Shape, Shape], message: str) -> None:
    fed = {n: np.zeros(s, np.float32) for n, s in zip("xy", shapes, strict=True)}
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(accuracy_layer(parameters), fed)
