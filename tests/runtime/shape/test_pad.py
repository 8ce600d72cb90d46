from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.runtime.gradients import check_gradient

PADDINGS = ((1, 0), (0, 2), (3, 1))


@pytest.mark.parametrize("value", [0.0, -1.5])
def test_values(value: float, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.pad import Pad

    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    want = np.full((3, 5, 8), value, np.float32)
    want[1:, :3, 3:7] = x
    assert np.array_equal(Pad(PADDINGS, value)(x), want)
    check_saved(Pad(PADDINGS, value), x)


def test_static_shape() -> None:
    from caffe2tf.runtime.shape.pad import Pad

    assert Pad(PADDINGS).compute_output_shape((2, None, 4)) == (3, None, 8)


def test_half_precision() -> None:
    from caffe2tf.runtime.shape.pad import Pad

    y = Pad(PADDINGS, 0.5, dtype="mixed_float16")(np.ones((2, 3, 4), np.float32))
    assert y.dtype == "float16"
    assert y.numpy()[0, 0, 0] == 0.5


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.pad import Pad

    check_gradient(Pad(PADDINGS, -1.5, dtype="float64"), rng, rng.standard_normal((2, 3, 4)))
