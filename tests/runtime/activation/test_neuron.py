from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw

Arguments = dict[str, Any]

# Each class with its arguments, and the function of one value that it computes.
CASES: list[tuple[str, Arguments, Callable[[float], float]]] = [
    ("AbsVal", {}, abs),
    ("Atan", {}, math.atan),
    ("Clip", {"minimum": -0.5, "maximum": 0.25}, lambda x: max(-0.5, min(x, 0.25))),
    ("Clip", {"minimum": 0.5, "maximum": -0.25}, lambda x: 0.5 + 0 * x),
    ("Exp", {}, math.exp),
    ("Exp", {"base": 0.3, "scale": -1.5, "shift": 0.75}, lambda x: 0.3 ** (0.75 - 1.5 * x)),
    ("Log", {"scale": 0.5, "shift": 9.0}, lambda x: math.log(9 + 0.5 * x)),
    ("Log", {"base": 10.0, "scale": -0.5, "shift": 9.0}, lambda x: math.log10(9 - 0.5 * x)),
    ("NegReLU", {}, lambda x: min(x, 0)),
    ("NegReLU", {"positive_slope": -0.25}, lambda x: x if x < 0 else -0.25 * x),
    ("Power", {"power": 3.0, "scale": -2.0, "shift": 0.5}, lambda x: (0.5 - 2 * x) ** 3),
    ("Power", {"power": -2.0, "shift": 9.0}, lambda x: (x + 9) ** -2),
    ("Power", {"power": 1.0, "scale": -2.0, "shift": 0.5}, lambda x: 0.5 - 2 * x),
    ("Power", {"power": 0.0, "scale": -2.0}, lambda x: 1 + 0 * x),
    ("Power", {"power": 2.0, "scale": 0.0, "shift": -3.0}, lambda x: 9 + 0 * x),
    ("SlopedReLU", {"negative_slope": -0.25}, lambda x: x if x > 0 else -0.25 * x),
    ("Swish", {"beta": -0.3}, lambda x: x / (1 + math.exp(0.3 * x))),
    ("Threshold", {}, lambda x: float(x > 0)),
    ("Threshold", {"threshold": -0.2}, lambda x: float(x > -0.2)),
    ("UnscaledDropout", {"rate": 0.3}, lambda x: 0.7 * x),
]
LAST = {name: arguments for name, arguments, _ in CASES}
CONSTANT = [("power", 0), ("scale", 0), ("minimum", 0.5)]
SLOPED = [(n, a) for n, a, _ in CASES if n != "Threshold" and not set(CONSTANT) & a.items()]


def made(name: str, arguments: Arguments, **kwargs: object) -> Any:  # noqa: ANN401 - Keras has no types
    from caffe2tf.runtime.activation import neuron

    return getattr(neuron, name)(**arguments, **kwargs)


def values(name: str, arguments: Arguments, *x: float) -> list[float]:
    return np.asarray(made(name, arguments)(np.array([x], np.float32)))[0].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("name", "arguments", "formula"), CASES, ids=[f"{n} {a}" for n, a, _ in CASES])
def test_formula(name: str, arguments: Arguments, formula: Callable[[float], float], rng: np.random.Generator) -> None:
    x = draw(rng, 2, 3, 4)
    want: npt.NDArray[np.float64] = np.vectorize(formula, otypes=[float])(x)
    layer = made(name, arguments)
    check_layer(layer, want, x, tolerance=1e-6, everywhere=arguments == LAST[name])
    check_precisions(layer, x)
    assert layer.compute_output_shape((None, 3, None)) == (None, 3, None)


@pytest.mark.parametrize(("name", "arguments"), SLOPED, ids=[f"{n} {a}" for n, a in SLOPED])
def test_gradient(name: str, arguments: Arguments, rng: np.random.Generator) -> None:
    check_gradient(made(name, arguments, dtype="float64"), rng, rng.standard_normal((5, 3, 4)))


def test_nan_becomes_the_minimum() -> None:
    assert values("Clip", {"minimum": -0.5, "maximum": 2.0}, math.nan, -math.inf, math.inf) == [-0.5, -0.5, 2.0]


def test_a_power_of_zero_does_not_read_the_input() -> None:
    assert values("Power", {"power": 0.0}, math.nan, math.inf, -3) == [1, 1, 1]
    assert values("Power", {"power": -1.0, "scale": 0.0}, math.nan, 2) == [math.inf, math.inf]


def test_arguments_outside_the_domain() -> None:
    assert math.isnan(values("Power", {"power": 0.5}, -2)[0])
    below, zero = values("Log", {}, -2, 0)
    assert math.isnan(below)
    assert zero == -math.inf


def test_constants_that_overflow() -> None:
    assert values("Exp", {"base": 10.0, "shift": 50.0}, 1, 2) == [math.inf, math.inf]


def test_the_threshold_is_exclusive() -> None:
    assert values("Threshold", {"threshold": 0.5}, 0.5, 0.75, math.nan) == [0, 1, 0]


@pytest.mark.parametrize("rate", [0.3, 1.0])
def test_unscaled_dropout_in_training(rate: float) -> None:
    x = np.full((200, 300), -2, np.float32)
    layer = made("UnscaledDropout", {"rate": rate})
    out = np.asarray(layer(x, training=True))
    assert np.allclose(out[out != 0], -2)
    assert abs((out == 0).mean() - rate) < 0.02
    assert rate == 1 or not np.array_equal(out, np.asarray(layer(x, training=True)))
