from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient

Exact = npt.NDArray[np.float64]


def draw(rng: np.random.Generator, *shape: int, scale: float = 1.5) -> Array:
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def log_softmax(row: Exact) -> Exact:
    return np.asarray(row - row.max() - math.log(np.exp(row - row.max()).sum()))


def of_predictions(
    cost: Callable[[Exact, int], float], x: Array, labels: Array, axis: int, ignored: int | None
) -> tuple[float, int, int]:
    """The sum of the costs, how many predictions count, and how many there are."""
    rows = np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis]).astype(np.float64)
    costs = [cost(log_softmax(r), int(n)) for r, n in zip(rows, labels.reshape(-1), strict=True) if n != ignored]
    return sum(costs), len(costs), len(rows)


SHAPES = {-1: ((2, 4, 3, 5), (2, 4, 3)), 1: ((2, 5, 4, 3), (2, 4, 3))}


@pytest.mark.parametrize("axis", SHAPES)
@pytest.mark.parametrize("ignored", [None, 2])
@pytest.mark.parametrize("normalization", ["VALID", "FULL", "BATCH_SIZE", "NONE"])
def test_softmax_and_infogain(axis: int, ignored: int | None, normalization: str, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.losses import InfogainLoss, SoftmaxWithLoss

    shape, places = SHAPES[axis]
    x, labels, matrix = draw(rng, *shape), rng.integers(0, 5, places).astype(np.float32), draw(rng, 5, 5)
    costs: list[Callable[[Exact, int], float]] = [lambda p, n: -p[n], lambda p, n: -float(matrix[n] @ p)]
    for cls, cost in zip((SoftmaxWithLoss, InfogainLoss), costs, strict=True):
        given = [x, labels] if cls is SoftmaxWithLoss else [x, labels, matrix]
        total, counted, every = of_predictions(cost, x, labels, axis, ignored)
        divisor = {"VALID": counted, "FULL": every, "BATCH_SIZE": 2, "NONE": 1}[normalization]
        made = cls(axis, ignore_label=ignored, normalization=normalization)
        assert_matches(made(given), total / divisor)
        if ignored and normalization == "FULL":
            check_saved(made, *given)


def test_several_batch_axes_and_probabilities(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.losses import SoftmaxWithLoss

    x, labels = draw(rng, 2, 4, 3, 5), rng.integers(0, 5, (2, 4, 3)).astype(np.float32)
    made = SoftmaxWithLoss(batch_axes=(0, 1), normalization="BATCH_SIZE", with_probabilities=True)
    loss, probabilities = made([x, labels])
    assert_matches(loss, of_predictions(lambda p, n: -p[n], x, labels, -1, None)[0] / 8)
    want = np.empty(x.shape)
    for place in np.ndindex(x.shape[:-1]):
        want[place] = np.exp(log_softmax(x[place].astype(np.float64)))
    assert_matches(probabilities, want)
    check_saved(made, x, labels)


def test_logarithms_are_bounded_as_in_caffe() -> None:
    from caffe2tf.runtime.loss.losses import InfogainLoss, MultinomialLogisticLoss, SoftmaxWithLoss

    x, label = np.array([[0, 500]], np.float32), np.array([0], np.float32)
    assert float(SoftmaxWithLoss()([x, label])) == pytest.approx(-math.log(np.finfo(np.float32).tiny))
    assert float(InfogainLoss()([x, label, np.eye(2, dtype=np.float32)])) == pytest.approx(-math.log(1e-20))
    assert float(MultinomialLogisticLoss()([np.array([[0, 1]], np.float32), label])) == pytest.approx(-math.log(1e-20))


def test_nothing_counts(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.losses import SoftmaxWithLoss

    assert float(SoftmaxWithLoss(ignore_label=1)([draw(rng, 3, 4), np.ones(3, np.float32)])) == 0


@pytest.mark.parametrize("ignored", [None, -1])
@pytest.mark.parametrize("normalization", ["VALID", "FULL", "BATCH_SIZE", "NONE"])
def test_sigmoid_cross_entropy(ignored: int | None, normalization: str, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.losses import SigmoidCrossEntropyLoss

    x = draw(rng, 3, 5)
    t = rng.choice(np.array([0, 1, 0.25, -1.5], np.float32), (3, 5))  # -1.5 is ignored: its fraction is dropped
    total, counted = 0.0, 0
    for v, target in zip(x.reshape(-1).astype(float), t.reshape(-1), strict=True):
        if int(target) != ignored:
            p = 1 / (1 + math.exp(-v))
            total -= target * math.log(p) + (1 - target) * math.log(1 - p)
            counted += 1
    divisor = {"VALID": counted, "FULL": 15, "BATCH_SIZE": 3, "NONE": 1}[normalization]
    made = SigmoidCrossEntropyLoss(ignored, normalization)
    assert_matches(made([x, t]), total / divisor)
    if normalization == "VALID":
        check_saved(made, x, t)


def test_sigmoid_cross_entropy_of_large_logits() -> None:
    from caffe2tf.runtime.loss.losses import SigmoidCrossEntropyLoss

    x = np.array([[200, -200, 200, -200]], np.float32)
    t = np.array([[1, 0, 0, 1]], np.float32)
    assert float(SigmoidCrossEntropyLoss()([x, t])) == 400


def test_euclidean(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.losses import EuclideanLoss

    a, b = draw(rng, 3, 4, 5), draw(rng, 3, 4, 5)
    want = sum((float(v) - float(w)) ** 2 for v, w in zip(a.reshape(-1), b.reshape(-1), strict=True)) / 6
    assert_matches(EuclideanLoss()([a, b]), want)
    assert_matches(EuclideanLoss()([a, b.reshape(3, 20)]), want)
    check_saved(EuclideanLoss(), a, b)


@pytest.mark.parametrize("margin", [1.0, 6.0])
@pytest.mark.parametrize("legacy", [False, True])
def test_contrastive(margin: float, legacy: bool, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.losses import ContrastiveLoss

    a, b, similar = draw(rng, 4, 2, 3), draw(rng, 4, 2, 3, scale=0.5), np.array([1, 0, 0, 1], np.float32)
    b[2] = a[2] + 0.01  # far within the margin
    total = 0.0
    for n in range(4):
        squared = float(((a[n].astype(float) - b[n]) ** 2).sum())
        short = max(margin - squared, 0) if legacy else max(margin - math.sqrt(squared), 0) ** 2
        total += squared if similar[n] else short
    made = ContrastiveLoss(margin, legacy_version=legacy)
    assert_matches(made([a, b, similar]), total / 8)
    check_saved(made, a, b, similar)


def test_equal_rows_have_a_finite_gradient() -> None:
    import tensorflow as tf

    from caffe2tf.runtime.loss.losses import ContrastiveLoss

    x = tf.ones((2, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = ContrastiveLoss()([x, tf.ones((2, 3)), tf.zeros(2)])
    assert np.isfinite(np.asarray(tape.gradient(value, x))).all()


@pytest.mark.parametrize("norm", ["L1", "L2"])
def test_hinge(norm: str, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.losses import HingeLoss

    x, labels = draw(rng, 3, 2, 3), np.array([5, 0, 2], np.float32)
    total = 0.0
    for n, c in np.ndindex(3, 6):
        term = max(0.0, 1 - float(x.reshape(3, 6)[n, c]) * (1 if c == labels[n] else -1))
        total += term**2 if norm == "L2" else term
    assert_matches(HingeLoss(norm)([x, labels]), total / 3)
    check_saved(HingeLoss(norm), x, labels)


def test_multinomial_logistic(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.losses import MultinomialLogisticLoss

    p, labels = rng.uniform(0.05, 1, (3, 5)).astype(np.float32), np.array([4, 0, 2], np.float32)
    want = -sum(math.log(p[n, int(c)]) for n, c in enumerate(labels)) / 3
    assert_matches(MultinomialLogisticLoss()([p, labels]), want)
    check_saved(MultinomialLogisticLoss(), p, labels)


@pytest.mark.parametrize("label", [-1, 5])
@pytest.mark.parametrize("name", ["SoftmaxWithLoss", "InfogainLoss", "HingeLoss", "MultinomialLogisticLoss"])
def test_a_label_of_no_class_gives_nan(name: str, label: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss import losses

    given = [np.abs(draw(rng, 3, 5)), np.array([0, label, 2], np.float32)]
    if name == "InfogainLoss":
        given.append(draw(rng, 5, 5))
    assert np.isnan(float(getattr(losses, name)()(given)))
    if name in ("SoftmaxWithLoss", "InfogainLoss"):
        assert np.isfinite(float(getattr(losses, name)(ignore_label=label)(given)))


def test_gradients(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss import losses

    x, y, labels = draw(rng, 3, 5), draw(rng, 3, 5), np.array([4, 0, 2], np.float32)
    check_gradient(losses.SoftmaxWithLoss(with_probabilities=True, dtype="float64"), rng, x, labels, among=[0])
    check_gradient(losses.InfogainLoss(dtype="float64"), rng, x, labels, draw(rng, 5, 5), among=[0, 2])
    check_gradient(losses.SigmoidCrossEntropyLoss(dtype="float64"), rng, x, np.abs(y) / 9)
    check_gradient(losses.EuclideanLoss(dtype="float64"), rng, x, y)
    check_gradient(losses.ContrastiveLoss(9.0, dtype="float64"), rng, x, y, [1, 0, 0], among=[0, 1])
    check_gradient(losses.HingeLoss("L2", dtype="float64"), rng, x, labels, among=[0])
    check_gradient(losses.MultinomialLogisticLoss(dtype="float64"), rng, np.abs(x) + 0.1, labels, among=[0])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_labels_of_many_classes_under_mixed_precision(policy: str, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss import losses

    x, labels = draw(rng, 3, 5000), np.array([4001, 257, 2051], np.float32)  # none of them a float16 or a bfloat16
    x[range(3), labels.astype(int)] += 9
    for made in (losses.SoftmaxWithLoss, losses.HingeLoss):
        have = made(dtype=policy)([x, labels])
        assert have.dtype == "float32"
        assert_matches(have, made()([x, labels]))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_small_bounds_under_mixed_precision(policy: str) -> None:
    import tensorflow as tf

    from caffe2tf.runtime.loss.losses import ContrastiveLoss, MultinomialLogisticLoss

    p, label = np.array([[0, 1]], np.float32), np.array([0], np.float32)
    assert float(MultinomialLogisticLoss(dtype=policy)([p, label])) == pytest.approx(-math.log(1e-20))
    x = tf.ones((2, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = ContrastiveLoss(dtype=policy)([x, tf.ones((2, 3)), tf.zeros(2)])
    assert np.isfinite(np.asarray(tape.gradient(value, x))).all()


def test_the_dtype_of_a_half_precision_loss_is_saved(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.losses import SoftmaxWithLoss

    made = SoftmaxWithLoss(dtype="mixed_float16", with_probabilities=True)
    assert SoftmaxWithLoss.from_config(made.get_config()).compute_dtype == "float32"
    check_saved(made, draw(rng, 3, 5), np.array([4, 0, 2], np.float32))
