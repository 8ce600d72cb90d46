from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw

COMBINED: dict[str, Callable[..., float]] = {
    "PROD": lambda *v: math.prod(v),
    "SUM": lambda *v: math.fsum(v),
    "MAX": max,
}


@pytest.mark.parametrize(
    ("operation", "coefficients"), [("PROD", None), ("SUM", None), ("SUM", (1, -2.5, 0.25)), ("MAX", None)]
)
def test_values(operation: str, coefficients: tuple[float, ...] | None, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.arithmetic.eltwise import Eltwise

    arrays = [draw(rng, 2, 3, 4) for _ in range(3)]
    factors = coefficients or (1, 1, 1)
    want = np.empty((2, 3, 4))
    for index in np.ndindex(want.shape):
        want[index] = COMBINED[operation](*(f * float(a[index]) for f, a in zip(factors, arrays, strict=True)))
    layer = Eltwise(operation, coefficients)
    check_layer(layer, want, *arrays, tolerance=1e-6)
    check_precisions(layer, *arrays)
    check_gradient(Eltwise(operation, coefficients, dtype="float64"), rng, *arrays)


def test_terms_are_added_from_the_first_to_the_last() -> None:
    from caffe2tf.runtime.arithmetic.eltwise import Eltwise

    terms = [np.array([v], np.float32) for v in (1e8, 1, -1e8)]
    assert np.asarray(Eltwise("SUM")(terms)).tolist() == [0]
    assert np.asarray(Eltwise("SUM")([terms[0], terms[2], terms[1]])).tolist() == [1]


def test_coefficients_for_another_number_of_tensors(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.arithmetic.eltwise import Eltwise

    with pytest.raises(ValueError, match="zip"):
        Eltwise("SUM", (1, 2))([draw(rng, 2)] * 3)
