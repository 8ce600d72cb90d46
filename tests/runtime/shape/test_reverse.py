from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.runtime.gradients import check_gradient


@pytest.mark.parametrize("axes", [(0,), (1,), (2, 0), (0, 1, 2), ()])
def test_values(axes: tuple[int, ...], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.reverse import Reverse

    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    want = np.empty_like(x)
    for place in np.ndindex(x.shape):
        want[tuple(x.shape[a] - 1 - i if a in axes else i for a, i in enumerate(place))] = x[place]
    assert np.array_equal(Reverse(axes)(x), want)
    check_saved(Reverse(axes), x)


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.reverse import Reverse

    assert Reverse((0,)).compute_output_shape((None, 3)) == (None, 3)
    check_gradient(Reverse((0, 2), dtype="float64"), rng, rng.standard_normal((2, 3, 4)))
