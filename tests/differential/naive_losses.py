"""Rules of losses and metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tests.differential.rules import Array, Message, axis_of, check, count, legacy

__all__ = ["LAYERS"]

Integers = npt.NDArray[np.int_]
Flags = npt.NDArray[np.bool_]


def _labels(x: Array, label: Array, axis: int) -> tuple[Array, Integers]:
    """Return one row of classes for each prediction, and the labels."""
    moved = np.moveaxis(x, axis, -1)
    check(label.size == count(moved.shape[:-1]), "a label for each prediction")
    return moved.reshape(-1, x.shape[axis]), label.reshape(-1).astype(int)


def _ignored(p: Message, labels: Integers) -> Flags:
    return labels == p.ignore_label if p.HasField("ignore_label") else np.zeros(labels.shape, bool)


def _normalizer(mode: str, outer: int, inner: int, valid: int) -> float:
    amounts = {"FULL": outer * inner, "VALID": valid, "BATCH_SIZE": outer, "NONE": 1}
    return max(1.0, float(amounts[mode]))


def _mode(p: Message, default: str) -> str:
    if p.HasField("normalization"):
        return str(p.NormalizationMode.Name(p.normalization))
    if p.HasField("normalize"):
        return "VALID" if p.normalize else "BATCH_SIZE"
    return default


def _softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def _softmax_loss(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, axis = layer.loss_param, axis_of(xs[0], layer.softmax_param.axis)
    check(xs[0].shape[:1] == xs[1].shape[:1] != (), "first extents")
    prob = _softmax(xs[0], axis)
    rows, labels = _labels(prob, xs[1], axis)
    kept = ~_ignored(p, labels)
    picked = rows[kept, labels[kept]].astype(np.float32).astype(np.float64)
    loss = -np.log(np.maximum(picked, float(np.finfo(np.float32).tiny))).sum()
    outer = count(xs[0].shape[:axis])
    norm = _normalizer(_mode(p, "VALID"), outer, len(labels) // outer, int(kept.sum()))
    return [np.asarray(loss / norm), prob]


def _infogain_loss(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, axis = layer.loss_param, axis_of(xs[0], layer.infogain_loss_param.axis)
    check(len(xs) == 3 and not p.HasField("normalize") and xs[0].shape[:1] == xs[1].shape[:1] != (), "infogain")
    prob, classes = _softmax(xs[0], axis), xs[0].shape[axis]
    check(xs[2].size == classes * classes, "H")
    rows, labels = _labels(prob, xs[1], axis)
    kept = ~_ignored(p, labels)
    gain = xs[2].reshape(classes, classes)[labels[kept]]
    loss = -(gain * np.log(np.maximum(rows[kept], 1e-20))).sum()
    outer = count(xs[0].shape[:axis])
    norm = _normalizer(_mode(p, "VALID"), outer, len(labels) // outer, int(kept.sum()))
    return [np.asarray(loss / norm), prob]


def _sigmoid_loss(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, (x, target) = layer.loss_param, (xs[0].reshape(-1), xs[1].reshape(-1))
    check(x.size == target.size and xs[0].shape[:1] == xs[1].shape[:1] != (), "counts")
    kept = ~_ignored(p, target.astype(int))
    each = x * (target - (x >= 0)) - np.log1p(np.exp(-np.abs(x)))
    norm = _normalizer(_mode(p, "BATCH_SIZE"), len(xs[0]), x.size // len(xs[0]), int(kept.sum()))
    return [np.asarray(-each[kept].sum() / norm)]


def _hinge_loss(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p = layer.hinge_loss_param
    check(xs[0].shape[:1] == xs[1].shape[:1] != () and xs[0].ndim <= 4, "first extents")
    margin = xs[0].reshape(len(xs[0]), -1).copy()
    margin[np.arange(len(margin)), xs[1].reshape(-1)[: len(margin)].astype(int)] *= -1
    margin = np.maximum(0, 1 + margin)
    return [np.asarray((margin if p.Norm.Name(p.norm) == "L1" else margin**2).sum() / len(margin))]


def _euclidean_loss(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    check(xs[0].shape[:1] == xs[1].shape[:1] != () and xs[0].size == xs[1].size and xs[0].ndim <= 4, "counts")
    return [np.asarray(((xs[0].reshape(-1) - xs[1].reshape(-1)) ** 2).sum() / len(xs[0]) / 2)]


def _multinomial_loss(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    check(legacy(xs[0]).shape[:1] == xs[1].shape[:1] and legacy(xs[1]).shape[1:] == (1, 1, 1), "labels")
    rows = xs[0].reshape(len(xs[0]), -1)
    picked = rows[np.arange(len(rows)), xs[1].reshape(-1).astype(int)]
    return [np.asarray(-np.log(np.maximum(picked, 1e-20)).sum() / len(rows))]


def _contrastive_loss(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p, (a, b, similar) = layer.contrastive_loss_param, [legacy(x) for x in xs]
    check(xs[0].shape[:1] == xs[1].shape[:1] != () and a.shape[1] == b.shape[1], "channels")
    check(all(v.shape[2:] == (1, 1) for v in (a, b, similar)) and similar.shape[1] == 1, "pairs")
    square = ((a - b) ** 2).sum(axis=(1, 2, 3))
    apart = np.maximum(p.margin - square, 0) if p.legacy_version else np.maximum(p.margin - np.sqrt(square), 0) ** 2
    same = similar.reshape(-1)[: len(a)].astype(int) != 0
    return [np.asarray(np.where(same, square, apart).sum() / len(a) / 2)]


def _accuracy(layer: Message, xs: Sequence[Array], ws: Sequence[Array]) -> list[Array]:
    p = layer.accuracy_param
    axis = axis_of(xs[0], p.axis)
    check(p.top_k <= xs[0].size // xs[1].size, "top_k")
    rows, labels = _labels(xs[0], xs[1], axis)
    kept = ~_ignored(p, labels)
    rows, labels = rows[kept], labels[kept]
    better = (rows >= rows[np.arange(len(rows)), labels][:, None]).sum(axis=1) - 1
    right = better < p.top_k
    classes = xs[0].shape[axis]
    seen = np.bincount(labels, minlength=classes)
    each = np.bincount(labels, weights=right, minlength=classes) / np.maximum(seen, 1)
    return [np.asarray(right.mean() if len(right) else 0.0), each]


LAYERS: dict[str, Callable[..., list[Array]]] = {
    "Accuracy": _accuracy,
    "ContrastiveLoss": _contrastive_loss,
    "EuclideanLoss": _euclidean_loss,
    "HingeLoss": _hinge_loss,
    "InfogainLoss": _infogain_loss,
    "MultinomialLogisticLoss": _multinomial_loss,
    "SigmoidCrossEntropyLoss": _sigmoid_loss,
    "SoftmaxWithLoss": _softmax_loss,
}
