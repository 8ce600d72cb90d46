from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import assert_matches
from tests.runtime.gradients import check_gradient

TERMS: dict[str, Callable[[float], float]] = {
    "SUM": lambda v: v,
    "ASUM": abs,
    "SUMSQ": lambda v: v * v,
    "MEAN": lambda v: v,
}


@pytest.mark.parametrize("operation", TERMS)
@pytest.mark.parametrize(("axes", "coefficient"), [((1, 2), -0.5), ((3,), 1.0), ((0, 1, 2, 3), 2.0), ((0, 2), 0.25)])
def test_values(operation: str, axes: tuple[int, ...], coefficient: float, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.reduction.reduction import Reduction

    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    want = np.zeros([n for a, n in enumerate(x.shape) if a not in axes])
    for place in np.ndindex(x.shape):
        kept = tuple(i for a, i in enumerate(place) if a not in axes)
        want[kept] += coefficient * TERMS[operation](float(x[place]))
    if operation == "MEAN":
        want = want / (x.size / want.size)
    made = Reduction(operation, axes, coefficient)
    assert_matches(made(x), want)
    check_saved(made, x)


def test_an_axis_of_unknown_extent(rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.reduction.reduction import Reduction

    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, Reduction("MEAN", (1,))(inputs))
    assert model.output.shape == (None, 4)
    x = rng.standard_normal((2, 7, 4)).astype(np.float32)
    assert_matches(model(x), x.astype(float).mean(1))


@pytest.mark.parametrize("operation", TERMS)
def test_gradient(operation: str, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.reduction.reduction import Reduction

    check_gradient(Reduction(operation, (0, 2), -0.5, dtype="float64"), rng, rng.standard_normal((2, 3, 4)))
