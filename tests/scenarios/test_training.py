"""Emitted models learn as the networks did in Caffe: 40 steps of its solvers against recorded losses and weights."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

import caffe2tf
from caffe2tf.parse import read_mean, read_network
from tests.conftest import ROOT
from tests.layers.oracle import assert_matches

if TYPE_CHECKING:
    import keras

Floats = npt.NDArray[np.floating]

RECORDED = ROOT / "tests" / "data" / "training"
BATCH = 32


@dataclass(slots=True, kw_only=True)
class Solver:
    """Caffe's update rules for one weight; ``settings`` are those of the solver's file."""

    settings: dict[str, list[str]]
    lr_mult: float
    decay_mult: float
    first: Floats | float = 0.0
    second: Floats | float = 0.0

    def number(self, name: str) -> float:
        return float(self.settings.get(name, ["0"])[0])

    def rate(self, step: int) -> float:
        decays: dict[str, Callable[[], float]] = {
            "fixed": lambda: 1.0,
            "inv": lambda: (1 + self.number("gamma") * step) ** -self.number("power"),
            "step": lambda: self.number("gamma") ** (step // self.number("stepsize")),
            "multistep": lambda: self.number("gamma") ** sum(step >= float(s) for s in self.settings["stepvalue"]),
        }
        return self.number("base_lr") * decays[self.settings["lr_policy"][0]]()

    def step(self, number: int, weight: Floats, gradient: Floats) -> Floats:
        """The weight after step ``number``, which counts from 0."""
        rate, momentum = self.lr_mult * self.rate(number), self.number("momentum")
        gradient = gradient + self.number("weight_decay") * self.decay_mult * weight
        if self.settings.get("type") != ["Adam"]:
            self.first = momentum * self.first + rate * gradient
            return weight - self.first
        other = self.number("momentum2")
        self.first = momentum * self.first + (1 - momentum) * gradient
        self.second = other * self.second + (1 - other) * gradient**2
        rate *= math.sqrt(1 - other ** (number + 1)) / (1 - momentum ** (number + 1))
        return weight - rate * self.first / (np.sqrt(self.second) + self.number("delta"))


def settings_of(solver: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'(\w+): "?([\w.\-]+)', solver.read_text(encoding="utf-8")):
        found.setdefault(name, []).append(value)
    return found


def batches(digits: Path) -> tuple[Floats, Floats]:
    """40 batches of images (N, H, W, C) and of labels: the training set in order, and again from its start."""
    with np.load(digits / "train.npz") as train:
        rows = np.arange(40 * BATCH) % len(train["images"])
        images = (train["images"][rows] - read_mean(digits / "mean.binaryproto")[0]) / 128
        labels = train["labels"][rows]
    return (
        images.astype(np.float32).reshape(40, BATCH, 16, 16, 1),
        labels.astype(np.float32).reshape(40, BATCH),
    )


def learning(
    prototxt: Path, model: keras.Model, settings: dict[str, list[str]]
) -> dict[str, tuple[keras.Variable, Solver]]:
    """Each weight of the model that learns, by the layer's name and the blob's place there, and how it does."""
    found = {}
    for layer in read_network(prototxt).layers:
        params = layer.message.param
        weights = model.get_layer(layer.name).weights if params else []
        for place, (param, weight) in enumerate(zip(params, weights, strict=True)):
            solver = Solver(settings=settings, lr_mult=param.lr_mult, decay_mult=param.decay_mult)
            found[f"{layer.name}/{place}"] = weight, solver
    return found


def in_caffes_order(name: str, weight: keras.Variable) -> Floats:
    array = np.asarray(weight)
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    return array.reshape(4, 4, 12, 10).transpose(3, 2, 0, 1).reshape(10, 192) if name == "fc/0" else array


@pytest.mark.parametrize("case", sorted(path.name for path in RECORDED.iterdir()))
def test_losses_and_weights_are_those_that_caffe_had(case: str, digits: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    prototxt, init = RECORDED / case / "train.prototxt", RECORDED / case / "init.caffemodel"
    model = caffe2tf.convert(prototxt, init, tmp_path, phase="TRAIN", keep_losses=True).build()
    weights = learning(prototxt, model, settings_of(RECORDED / case / "solver.prototxt"))

    @tf.function  # type: ignore[untyped-decorator]
    def differentiate(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            loss = model({"data": images, "label": labels}, training=True)["loss"]
        return loss, tape.gradient(loss, [weight.value for weight, _ in weights.values()])

    losses = []
    for number, batch in enumerate(zip(*batches(digits), strict=True)):
        loss, gradients = differentiate(*map(tf.constant, batch))
        losses.append(float(loss))
        for (weight, solver), gradient in zip(weights.values(), gradients, strict=True):
            weight.assign(solver.step(number, np.asarray(weight), np.asarray(gradient)))
    with np.load(RECORDED / case / "curve.npz") as curve:
        np.testing.assert_allclose(losses, curve["loss"], rtol=1e-5)
        assert losses[-1] < 0.5 * losses[0]
        assert {name for name in curve.files if name != "loss"} == {f"final/{name}" for name in weights}
        for name, (weight, _) in weights.items():
            have = in_caffes_order(name, weight)
            assert_matches(have, curve[f"final/{name}"], name, tolerance=1e-4)  # the rounding of 40 steps adds up
