from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.runtime.gradients import check_gradient


@pytest.mark.parametrize(("axis", "count"), [(1, 3), (2, 4), (2, 2), (1, 2)])
def test_one_tensor_for_each_index(axis: int, count: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.unstack import Unstack

    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    have = Unstack(axis, count)(x)
    assert len(have) == count
    for i, y in enumerate(have):
        assert np.array_equal(y, np.take(x, i, axis))
    check_saved(Unstack(axis, count), x)


def test_a_single_index_gives_a_single_tensor(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.unstack import Unstack

    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    assert np.array_equal(Unstack(0, 1)(x), x[0])
    check_saved(Unstack(1, 1), x)


def test_static_shape() -> None:
    from caffe2tf.runtime.shape.unstack import Unstack

    assert Unstack(1, 2).compute_output_shape((None, 3, 4)) == [(None, 4)] * 2
    assert Unstack(0, 1).compute_output_shape((3, None)) == (None,)


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.unstack import Unstack

    check_gradient(Unstack(1, 2, dtype="float64"), rng, rng.standard_normal((2, 3, 4)))
