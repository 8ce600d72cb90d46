"""Functions that append random recurrent layers, losses and metrics to a growing network."""

from __future__ import annotations

import numpy as np

from tests.differential.draw import Grower
from tests.differential.rules import Refused

__all__ = ["labelled", "lstm_unit", "paired", "recurrent", "rows"]


def recurrent(g: Grower, at: str) -> None:
    x, d = g.value(at), g.whole(1, 4)
    if x.ndim < 3:
        raise Refused("axes")
    kind = g.pick("RNN", "LSTM")
    gates, states = (4 * d, 2) if kind == "LSTM" else (d, 1)
    cont = g.rng.integers(0, 2, x.shape[:2]) * g.rng.choice([1.0, 1.0, 0.5])
    inputs, exposed = int(np.prod(x.shape[2:])), g.chance(0.3)
    bottoms = [at, g.feed(cont)]
    weights = [g.normal((gates, inputs), inputs**-0.5), g.normal((gates,))]
    if g.chance(0.4):
        static = g.normal((x.shape[1], *[g.whole(1, 3) for _ in range(g.whole(1, 2))]))
        bottoms.append(g.feed(static))
        weights.append(g.normal((gates, static[0].size)))
    bottoms += [g.feed(g.normal((1, x.shape[1], d))) for _ in range(states if exposed else 0)]
    weights.append(g.normal((gates, d), 0.5))
    weights += [g.normal((d, d)), g.normal((d,))] if kind == "RNN" else []
    text = f"recurrent_param {{ num_output: {d} expose_hidden: {str(exposed).lower()} }}"
    g.add(kind, bottoms, text, tops=1 + states * exposed, weights=weights)


def lstm_unit(g: Grower, at: str) -> None:
    n, d = g.whole(1, 3), g.whole(1, 4)
    cont = g.rng.choice([0.0, 1.0, 0.5], (1, n))
    fed = [g.feed(g.normal((1, n, d))), g.feed(g.normal((1, n, 4 * d))), g.feed(cont)]
    g.add("LSTMUnit", fed, tops=2)


def labelled(g: Grower, at: str) -> None:
    """Append an Accuracy, a SoftmaxWithLoss or an InfogainLoss."""
    x, kind = g.value(at), g.pick("Accuracy", "SoftmaxWithLoss", "InfogainLoss")
    axis = g.axis(x, low=1) if x.ndim > 1 else g.axis(x)
    classes = x.shape[axis]
    shape = [d for i, d in enumerate(x.shape) if i != axis % x.ndim]
    if g.chance(0.5):
        shape.insert(axis % x.ndim, 1)
    bottoms = [at, g.feed(g.rng.integers(0, classes, shape))]
    ignore = f" ignore_label: {g.whole(0, classes - 1)}" if g.chance(0.4) else ""
    modes = ["FULL", "VALID", "BATCH_SIZE", "NONE"]
    normalization = f" normalization: {g.pick(*modes)}" if g.chance(0.5) else ""
    if kind == "Accuracy":
        text = f"accuracy_param {{ axis: {axis} top_k: {g.whole(1, 3)}{ignore} }}"
    elif kind == "SoftmaxWithLoss":
        old = f" normalize: {g.pick('true', 'false')}" if g.chance(0.3) else ""
        text = f"softmax_param {{ axis: {axis} }} loss_param {{ {ignore}{normalization}{old} }}"
    else:
        bottoms.append(g.feed(g.normal((classes, classes))))
        text = f"infogain_loss_param {{ axis: {axis} }} loss_param {{ {ignore}{normalization} }}"
    g.add(kind, bottoms, text, tops=g.whole(1, 2))


def paired(g: Grower, at: str) -> None:
    """Append a loss that compares two blobs value by value."""
    x, kind = g.value(at), g.pick("EuclideanLoss", "SigmoidCrossEntropyLoss")
    if x.ndim == 0:
        raise Refused("axes")
    other = g.normal(x.shape) if kind == "EuclideanLoss" else g.rng.integers(0, 2, x.shape)
    text = f"loss_param {{ normalization: {g.pick('FULL', 'VALID', 'BATCH_SIZE', 'NONE')} }}" if g.chance(0.5) else ""
    if kind == "SigmoidCrossEntropyLoss" and g.chance(0.4):
        other = np.where(g.rng.random(x.shape) < 0.2, -1, other)
        text = "loss_param { ignore_label: -1 normalization: VALID }"
    g.add(kind, [at, g.feed(other)], text)


def rows(g: Grower, at: str) -> None:
    """Append a loss that compares items along axis 0."""
    x = g.value(at)
    if x.ndim == 0:
        raise Refused("axes")
    kind = g.pick("HingeLoss", "MultinomialLogisticLoss", "ContrastiveLoss")
    if kind == "ContrastiveLoss":
        text = f"contrastive_loss_param {{ margin: {g.number(0.5, 3)} legacy_version: {g.pick('true', 'false')} }}"
        g.add(kind, [at, g.feed(g.normal(x.shape)), g.feed(g.rng.integers(0, 2, (len(x),)))], text)
        return
    labels = g.feed(g.rng.integers(0, max(1, x[0].size), (len(x),)))
    if kind == "HingeLoss":
        g.add(kind, [at, labels], f"hinge_loss_param {{ norm: {g.pick('L1', 'L2')} }}")
    else:
        (probability,) = g.add("Sigmoid", [at])
        g.add(kind, [probability, labels])
