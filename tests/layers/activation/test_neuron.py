"""Functions of one value: recordings of Caffe, and every parameter against C's own mathematics in double precision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from caffe2tf.errors import Caffe2TFError
from tests.layers.emitted import emitted
from tests.layers.oracle import assert_matches, check_recorded, recorded, run_layer

Doubles = npt.NDArray[np.float64]
Formula = Callable[[Doubles], Doubles]
SHAPES = [(2, 3, 4, 5), (3, 4), (6,), (2, 3, 2, 4, 3)]


def layer(type_: str, parameters: str = "") -> str:
    field = f"{type_.lower()}_param {{ {parameters} }}" if parameters else ""
    return f'layer {{ name: "out" type: "{type_}" bottom: "data" top: "out" {field} }}'


def power(power_: float, scale: float, shift: float) -> Formula:
    def compute(x: Doubles) -> Doubles:
        with np.errstate(all="ignore"):
            if power_ * scale == 0:
                return np.full_like(x, 1 if power_ == 0 else np.power(np.float64(shift), power_))
            return np.asarray(np.power(shift + scale * x, power_))

    return compute


CASES: list[tuple[str, str, Formula]] = [
    ("AbsVal", "", np.abs),
    ("BNLL", "", lambda x: np.where(x > 0, x + np.log(1 + np.exp(-np.abs(x))), np.log(1 + np.exp(-np.abs(x))))),
    ("Clip", "min: -0.5 max: 1.25", lambda x: np.maximum(-0.5, np.minimum(x, 1.25))),
    ("Clip", "min: 0 max: 1.5", lambda x: np.maximum(0, np.minimum(x, 1.5))),
    ("Clip", "min: 0 max: -2", np.zeros_like),
    ("Clip", "min: 1 max: -2", np.ones_like),
    ("Clip", "min: -1 max: inf", lambda x: np.maximum(x, -1)),
    ("ELU", "", lambda x: np.maximum(x, 0) + np.expm1(np.minimum(x, 0))),
    ("ELU", "alpha: -0.3", lambda x: np.maximum(x, 0) - 0.3 * np.expm1(np.minimum(x, 0))),
    ("ELU", "alpha: 0", lambda x: np.maximum(x, 0)),
    ("Exp", "", np.exp),
    ("Exp", "base: 2", lambda x: 2**x),
    ("Exp", "base: 0.5 scale: -1.5 shift: 2", lambda x: 0.5 ** (2 - 1.5 * x)),
    ("Exp", "scale: 0.5 shift: -1", lambda x: np.exp(0.5 * x - 1)),
    ("Exp", "base: 1 shift: 3", np.ones_like),
    ("Log", "", np.log),
    ("Log", "base: 10 scale: 2 shift: 7.5", lambda x: np.log10(2 * x + 7.5)),
    ("Log", "base: 0.5 scale: -1", lambda x: -np.log2(-x)),
    ("Log", "shift: 0.25", lambda x: np.log(x + 0.25)),
    ("Power", "", power(1, 1, 0)),
    ("Power", "scale: -2", power(1, -2, 0)),
    ("Power", "scale: 0.1 shift: -3", power(1, 0.1, -3)),
    ("Power", "power: 2 scale: 3 shift: 0.5", power(2, 3, 0.5)),
    ("Power", "power: -3", power(-3, 1, 0)),
    ("Power", "power: 0.5", power(0.5, 1, 0)),
    ("Power", "power: 2.5 scale: -1 shift: 1", power(2.5, -1, 1)),
    ("Power", "power: 0 shift: -2", power(0, 1, -2)),
    ("Power", "power: 0 scale: 0", power(0, 0, 0)),
    ("Power", "power: 3 scale: 0 shift: -2", power(3, 0, -2)),
    ("Power", "power: 1 scale: 0 shift: 4", power(1, 0, 4)),
    ("Power", "power: -1 scale: 0", power(-1, 0, 0)),
    ("Power", "power: 0.5 scale: 0 shift: -1", power(0.5, 0, -1)),
    ("Swish", "", lambda x: x / (1 + np.exp(-x))),
    ("Swish", "beta: -0.7", lambda x: x / (1 + np.exp(0.7 * x))),
    ("Swish", "beta: 0", lambda x: x / 2),
    ("Threshold", "", lambda x: (x > 0).astype(np.float64)),
    ("Threshold", "threshold: -0.3", lambda x: (x > -0.3).astype(np.float64)),
]

NAMES = ("absval_", "bnll_", "clip_", "elu_", "exp_", "log_", "power_", "swish_", "threshold_")


@pytest.mark.parametrize("case", recorded(*NAMES))
def test_recorded(case: str) -> None:
    check_recorded(case)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("type_", "parameters", "formula"), CASES, ids=[f"{t} {p}" for t, p, _ in CASES])
def test_formula(
    type_: str, parameters: str, formula: Formula, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    x = (rng.standard_normal(shape) * 3).astype(np.float32)
    x.reshape(-1)[:2] = 0, 1
    with np.errstate(all="ignore"):
        want = np.asarray(formula(x.astype(np.float64)))
    assert_matches(run_layer(layer(type_, parameters), {"data": x})["out"], want, parameters)


def test_extremes() -> None:
    x = np.array([-200, -90, -30, 30, 90, 200], np.float32)
    assert_matches(run_layer(layer("BNLL"), {"data": x})["out"], np.logaddexp(0, x.astype(np.float64)))
    assert run_layer(layer("Exp"), {"data": x})["out"][[0, -1]].tolist() == [0, np.inf]
    assert run_layer(layer("Log"), {"data": np.array([0, -1, 1], np.float32)})["out"][[0, 2]].tolist() == [-np.inf, 0]


def test_values_that_are_not_numbers_are_refused() -> None:
    """Caffe's comparisons let the lower limit win, and a power of 0 does not look at its input."""
    x = np.array([np.nan, np.inf, -np.inf, 2], np.float32)
    assert run_layer(layer("Clip", "min: -1 max: 3"), {"data": x})["out"].tolist() == [-1, 3, -1, 2]
    assert run_layer(layer("Power", "power: 0"), {"data": x})["out"].tolist() == [1, 1, 1, 1]
    assert run_layer(layer("Power", "scale: 0 shift: 4"), {"data": x})["out"].tolist() == [4, 4, 4, 4]
    assert run_layer(layer("Threshold"), {"data": x})["out"].tolist() == [0, 1, 0, 1]


def test_the_threshold_itself_is_not_above_it() -> None:
    x = np.array([0.3, np.nextafter(np.float32(0.3), np.float32(1))], np.float32)
    assert run_layer(layer("Threshold", "threshold: 0.3"), {"data": x})["out"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (layer("BNLL"), 'layers.Activation("softplus", name="out")'),
        (layer("Clip", "min: 0 max: 6"), 'layers.ReLU(max_value=6.0, name="out")'),
        (layer("ELU"), 'layers.ELU(name="out")'),
        (layer("ELU", "alpha: 0.1"), 'layers.ELU(alpha=0.1, name="out")'),
        (layer("Exp"), 'layers.Activation("exponential", name="out")'),
        (layer("Exp", "base: 2 shift: 0.1"), 'Exp(base=2.0, shift=0.1, name="out")'),
        (layer("Power", "scale: 0.1 shift: -3"), 'layers.Rescaling(0.1, offset=-3.0, name="out")'),
        (layer("Power", "scale: 0.1"), 'layers.Rescaling(0.1, name="out")'),
        (layer("Power", "power: 2"), 'Power(2.0, name="out")'),
        (layer("Swish"), 'layers.Activation("silu", name="out")'),
    ],
)
def test_idioms(text: str, want: str) -> None:
    assert want in emitted(text, {"data": (2, 3, 4, 5)})


def test_power_of_nothing_is_the_input_itself() -> None:
    source = emitted(layer("Power"), {"data": (2, 3)})
    assert "Power(" not in source
    assert "Rescaling" not in source


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer("AbsVal").replace('top: "out"', 'top: "data"'), "AbsVal must not work in place"),
        (layer("Clip", "min: 1"), "max"),
        (layer("Exp", "base: 0"), r"exp_param.base must be greater than 0 and finite, or -1 for e, not 0\.0"),
        (layer("Exp", "base: -2"), r"exp_param.base must be greater than 0 and finite, or -1 for e, not -2\.0"),
        (layer("Log", "base: inf"), "log_param.base must be greater than 0 and finite"),
        (layer("Log", "base: nan"), "log_param.base must be greater than 0 and finite"),
        (layer("Log", "base: 1"), "log_param.base must not be 1"),
    ],
)
def test_rules(text: str, message: str) -> None:
    with pytest.raises(Caffe2TFError, match=message):
        run_layer(text, {"data": np.ones((2, 3), np.float32)})
