from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw

Ints = tuple[int, ...]

# The shapes of the two tensors, and for each the axes of the product that it lacks.
PAIRS: list[tuple[Ints, Ints, tuple[Ints, Ints]]] = [
    ((2, 3, 4), (2, 3, 4), ((), ())),
    ((2, 3, 1), (2, 1, 4), ((), ())),
    ((2, 3, 4, 5), (2, 5), ((), (1, 2))),
    ((3, 4), (2, 4), ((0,), (1,))),
    ((2, 3), (2, 4), ((2,), (1,))),
]


@pytest.mark.parametrize(("first", "second", "missing"), PAIRS)
def test_two_tensors(first: Ints, second: Ints, missing: tuple[Ints, Ints], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.arithmetic.mul import MultiplyBroadcast

    a, b = draw(rng, *first), draw(rng, *second)
    wide = [x.reshape(_inserted(x.shape, axes)) for x, axes in zip((a, b), missing, strict=True)]
    want = np.empty([max(m, n) for m, n in zip(wide[0].shape, wide[1].shape, strict=True)])
    for index in np.ndindex(want.shape):
        one, two = (float(x[tuple(i % n for i, n in zip(index, x.shape, strict=True))]) for x in wide)
        want[index] = one * two
    layer = MultiplyBroadcast(missing)
    assert layer.compute_output_shape([first, second]) == want.shape
    assert np.allclose(layer([a, b]), want, rtol=1e-6)
    if 0 not in missing[0]:
        check_layer(layer, want, a, b, tolerance=1e-6)
    check_precisions(layer, a, b)
    check_gradient(MultiplyBroadcast(missing, dtype="float64"), rng, a, b)


def test_unknown_extents() -> None:
    from caffe2tf.runtime.arithmetic.mul import MultiplyBroadcast, MultiplyByWeight

    assert MultiplyBroadcast(((), (0, 2))).compute_output_shape([(None, 1, 5), (3,)]) == (None, 3, 5)
    assert MultiplyBroadcast().compute_output_shape([(None, 3, 1), (None, 1, None)]) == (None, 3, None)
    assert MultiplyByWeight((3, 1)).compute_output_shape((None, None, 5)) == (None, 3, 5)
    assert MultiplyByWeight((2, 3, 4)).compute_output_shape((None, 4)) == (2, 3, 4)


@pytest.mark.parametrize("shape", [(3, 4), (4,), (3, 1), (1, 3, 4), (), (2, 1, 1)])
def test_a_trained_factor(shape: Ints, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.arithmetic.mul import MultiplyByWeight

    x = draw(rng, 2, 3, 4)
    layer = MultiplyByWeight(shape)
    assert np.array_equal(layer(x), x), "the factor is 1 at first"
    factor = draw(rng, *shape)
    layer.set_weights([factor])
    wide = factor.reshape((1,) * (3 - factor.ndim) + factor.shape)
    want = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        want[index] = float(x[index]) * float(wide[tuple(i % n for i, n in zip(index, wide.shape, strict=True))])
    check_layer(layer, want, x, tolerance=1e-6, everywhere=shape == (3, 1))
    check_precisions(layer, x)
    check_gradient(MultiplyByWeight(shape, dtype="float64"), rng, x)


def test_a_factor_with_more_axes_than_the_input(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.arithmetic.mul import MultiplyByWeight

    layer, x, factor = MultiplyByWeight((2, 3, 4)), draw(rng, 3, 1), draw(rng, 2, 3, 4)
    layer.build(x.shape)
    layer.set_weights([factor])
    assert np.allclose(layer(x), [x * f for f in factor])


def _inserted(shape: Ints, axes: Ints) -> list[int]:
    extents = list(shape)
    for axis in axes:
        extents.insert(axis, 1)
    return extents
