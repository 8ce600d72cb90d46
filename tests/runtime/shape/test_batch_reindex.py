from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient


def selected(x: Array, index: list[int], axis: int) -> Array:
    return np.stack([np.take(x, i, axis) for i in index], axis)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_items_are_repeated_reordered_and_left_out(axis: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.batch_reindex import BatchReindex

    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    index = np.array([2.9, 0, 2.2, 1], np.float32)  # fractions are dropped
    assert np.array_equal(BatchReindex(axis)([x, index]), selected(x, [2, 0, 2, 1], axis))
    check_saved(BatchReindex(axis), x, index)


def test_static_shape() -> None:
    from caffe2tf.runtime.shape.batch_reindex import BatchReindex

    assert BatchReindex().compute_output_shape([(3, 4), (7,)]) == (7, 4)
    assert BatchReindex(1).compute_output_shape([(3, 4, 5), (None,)]) == (3, None, 5)


def test_an_index_outside_is_an_error(rng: np.random.Generator) -> None:
    import tensorflow as tf

    from caffe2tf.runtime.shape.batch_reindex import BatchReindex

    with pytest.raises(tf.errors.InvalidArgumentError, match="not in"):
        BatchReindex()([rng.standard_normal((3, 4)).astype(np.float32), np.array([3], np.float32)])


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.batch_reindex import BatchReindex

    check_gradient(BatchReindex(dtype="float64"), rng, rng.standard_normal((3, 4)), [2, 0, 2], among=[0])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_large_indices_under_mixed_precision(policy: str) -> None:
    import keras

    from caffe2tf.runtime.shape.batch_reindex import BatchReindex

    x, made = np.arange(5000, dtype=np.float32).reshape(-1, 1) % 7, BatchReindex(dtype=policy)
    y = made([x, np.array([4001, 257], np.float32)])
    assert y.dtype == made([keras.Input(()), keras.Input(())]).dtype == made.compute_dtype
    assert np.array_equal(np.asarray(y, np.float32), [[4001 % 7], [257 % 7]])
