from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array, assert_matches


def draw(rng: np.random.Generator, axis: int) -> tuple[Array, Array]:
    """Scores of which many are equal, and labels."""
    shape = [2, 4, 3]
    labels = rng.integers(0, 5, shape).astype(np.float32)
    shape.insert(axis % 4, 5)
    return np.round(rng.standard_normal(shape)).astype(np.float32), labels


def accuracy(x: Array, labels: Array, axis: int, top_k: int, ignored: int | None) -> tuple[float, list[float]]:
    """Prediction by prediction: of all, and of each class."""
    hits, counts = np.zeros(5), np.zeros(5)
    rows = np.moveaxis(x, axis, -1).reshape(-1, 5)
    for row, label in zip(rows, labels.reshape(-1).astype(int), strict=True):
        if label != ignored:
            counts[label] += 1
            hits[label] += sum(score >= row[label] for score in row) <= top_k
    each = [h / c if c else 0.0 for h, c in zip(hits, counts, strict=True)]
    return hits.sum() / max(counts.sum(), 1), each


@pytest.mark.parametrize("axis", [-1, 1, 2])
@pytest.mark.parametrize(("top_k", "ignored"), [(1, None), (2, 3), (5, None)])
def test_values(axis: int, top_k: int, ignored: int | None, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.accuracy import Accuracy

    x, labels = draw(rng, axis)
    total, each = accuracy(x, labels, axis, top_k, ignored)
    assert_matches(Accuracy(top_k, axis, ignored)([x, labels]), total)
    have = Accuracy(top_k, axis, ignored, per_class=True)([x, labels])
    assert_matches(have[0], total)
    assert_matches(have[1], each)
    if top_k == 2 and axis != 2:
        check_saved(Accuracy(top_k, axis, ignored, per_class=True), x, labels)
        check_saved(Accuracy(top_k, axis, ignored), x, labels)


def test_nothing_counts() -> None:
    from caffe2tf.runtime.loss.accuracy import Accuracy

    assert float(Accuracy(ignore_label=2)([np.eye(3, dtype=np.float32), np.full(3, 2, np.float32)])) == 0


def test_a_label_of_no_class() -> None:
    from caffe2tf.runtime.loss.accuracy import Accuracy

    x, labels = np.eye(3, dtype=np.float32), np.array([0, 1, 3], np.float32)
    assert np.isnan(float(Accuracy()([x, labels])))
    assert float(Accuracy(ignore_label=3)([x, labels])) == 1


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_labels_of_many_classes_under_mixed_precision(policy: str) -> None:
    from caffe2tf.runtime.loss.accuracy import Accuracy

    labels = np.array([4001, 257, 2051], np.float32)  # none of them a float16 or a bfloat16
    x = np.zeros((3, 5000), np.float32)
    x[range(3), labels.astype(int)] = 1
    assert float(Accuracy(dtype=policy)([x, labels])) == 1
