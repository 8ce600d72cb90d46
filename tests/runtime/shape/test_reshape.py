from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.runtime.gradients import check_gradient


@pytest.mark.parametrize(
    ("shape", "copied", "want"),
    [
        ((-1, 4), (), (30, 4)),
        ((6, 20), (), (6, 20)),
        ((0, -1, 2, 0), (1, 0), (5, 4, 2, 3)),
        ((-1,), (), (120,)),
        ((1, 0, -1), (2,), (1, 8, 15)),
    ],
)
def test_values(
    shape: tuple[int, ...], copied: tuple[int, ...], want: tuple[int, ...], rng: np.random.Generator
) -> None:
    from caffe2tf.runtime.shape.reshape import FullReshape

    x = rng.standard_normal((3, 5, 8)).astype(np.float32)
    made = FullReshape(shape, copied)
    assert np.array_equal(made(x), x.reshape(want))
    assert made.compute_output_shape((3, 5, 8)) == want
    check_saved(made, x)


def test_unknown_extents() -> None:
    from caffe2tf.runtime.shape.reshape import FullReshape

    assert FullReshape((0, -1, 2, 0), (1, 0)).compute_output_shape((None, None, 8)) == (None, None, 2, None)
    assert FullReshape((-1, 4)).compute_output_shape((None, 8)) == (None, 4)


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.reshape import FullReshape

    check_gradient(FullReshape((4, -1), dtype="float64"), rng, rng.standard_normal((2, 6)))
