from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.runtime.gradients import check_gradient

SELECTOR = np.array([0, -2, 0, 0.25, 1], np.float32)
KEPT = [1, 3, 4]


@pytest.mark.parametrize("axes", [1, 2, 4])
def test_nonzero_values_select(axes: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.filter import Filter

    x = rng.standard_normal((5, 3, 2)).astype(np.float32)
    selector = SELECTOR.reshape(5, *[1] * (axes - 1))
    assert np.array_equal(Filter()([x, selector]), x[KEPT])
    check_saved(Filter(), x, selector)


def test_several_tensors_give_a_list(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.filter import Filter

    x, y = rng.standard_normal((5, 3)).astype(np.float32), rng.standard_normal(5).astype(np.float32)
    first, second = Filter()([x, y, SELECTOR])
    assert np.array_equal(first, x[KEPT])
    assert np.array_equal(second, y[KEPT])
    check_saved(Filter(), x, y, SELECTOR)


def test_nothing_is_left() -> None:
    from caffe2tf.runtime.shape.filter import Filter

    assert Filter()([np.ones((5, 3), np.float32), np.zeros(5, np.float32)]).shape == (0, 3)


def test_static_shape() -> None:
    from caffe2tf.runtime.shape.filter import Filter

    assert Filter().compute_output_shape([(5, 3), (5,)]) == (None, 3)
    assert Filter().compute_output_shape([(5, 3), (5,), (5, 1)]) == [(None, 3), (None,)]


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.filter import Filter

    check_gradient(Filter(dtype="float64"), rng, rng.standard_normal((5, 3)), SELECTOR, among=[0])
