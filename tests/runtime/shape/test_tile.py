from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.runtime.gradients import check_gradient


@pytest.mark.parametrize(("axis", "tiles"), [(0, 2), (1, 3), (2, 4), (1, 1)])
def test_values(axis: int, tiles: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.tile import Tile

    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    assert np.array_equal(Tile(axis, tiles)(x), np.concatenate([x] * tiles, axis))
    check_saved(Tile(axis, tiles), x)


def test_static_shape() -> None:
    from caffe2tf.runtime.shape.tile import Tile

    assert Tile(1, 3).compute_output_shape((None, 2, 4)) == (None, 6, 4)
    assert Tile(0, 3).compute_output_shape((None, 2)) == (None, 2)


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.tile import Tile

    check_gradient(Tile(1, 3, dtype="float64"), rng, rng.standard_normal((2, 3, 4)))
