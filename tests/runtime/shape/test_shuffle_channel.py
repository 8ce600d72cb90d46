from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient


def shuffled(x: Array, groups: int, axis: int) -> Array:
    """Channel by channel."""
    x = np.moveaxis(x, axis, 0)
    y = np.empty_like(x)
    each = len(x) // groups
    for i, j in np.ndindex(groups, each):
        y[j * groups + i] = x[i * each + j]
    return np.moveaxis(y, 0, axis)


@pytest.mark.parametrize("axis", [-1, 1, 2])
def test_values(axis: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.shuffle_channel import ShuffleChannel

    x = rng.standard_normal((2, 6, 12, 18)).astype(np.float32)
    assert np.array_equal(ShuffleChannel(3, axis)(x), shuffled(x, 3, axis))
    check_saved(ShuffleChannel(3, axis), x)


def test_extents_known_only_at_run_time(rng: np.random.Generator) -> None:
    import tensorflow as tf

    from caffe2tf.runtime.shape.shuffle_channel import ShuffleChannel

    traced = tf.function(ShuffleChannel(2), input_signature=[tf.TensorSpec((None, None, None, 6))])
    for shape in ((2, 3, 5, 6), (4, 1, 2, 6)):
        x = rng.standard_normal(shape).astype(np.float32)
        assert np.array_equal(traced(x), shuffled(x, 2, -1))


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.shuffle_channel import ShuffleChannel

    assert ShuffleChannel(2).compute_output_shape((None, 3, 6)) == (None, 3, 6)
    check_gradient(ShuffleChannel(3, dtype="float64"), rng, rng.standard_normal((2, 3, 6)))
