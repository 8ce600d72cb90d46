from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.runtime.gradients import check_gradient

NUMBERS = np.array([0.5, -1.25, 3], np.float32)


@pytest.mark.parametrize(("axis", "shape"), [(3, (3, 4, 5, 2)), (1, (3, 2, 4, 5)), (2, (3, 4, 6))])
def test_each_number_fills_an_image(axis: int, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.demosaick import ReplicateLike

    like = rng.standard_normal(shape).astype(np.float32)
    want = np.empty([1 if a == axis else n for a, n in enumerate(shape)], np.float32)
    for n, number in enumerate(NUMBERS):
        want[n] = number
    assert np.array_equal(ReplicateLike(axis)([NUMBERS, like]), want)
    check_saved(ReplicateLike(axis), NUMBERS, like)


def test_only_the_shape_of_the_reference_is_read() -> None:
    from caffe2tf.runtime.shape.demosaick import ReplicateLike

    like = np.full((3, 2, 4, 5), np.nan, np.float32)
    assert np.array_equal(np.asarray(ReplicateLike(3)([NUMBERS, like]))[:, 0, 0, 0], NUMBERS)


def test_static_shape() -> None:
    from caffe2tf.runtime.shape.demosaick import ReplicateLike

    assert ReplicateLike(3).compute_output_shape([(None,), (None, 4, None, 2)]) == (None, 4, None, 1)


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.demosaick import ReplicateLike

    check_gradient(ReplicateLike(3, dtype="float64"), rng, NUMBERS, np.ones((3, 2, 4, 5)), among=[0])
