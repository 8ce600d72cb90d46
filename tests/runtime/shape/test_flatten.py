from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient


def draw(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_flatten_from(axis: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.flatten import FlattenFrom

    x = draw(rng, 2, 3, 4, 5)
    assert np.array_equal(FlattenFrom(axis)(x), x.reshape(*x.shape[:axis], -1))
    check_saved(FlattenFrom(axis), x)


@pytest.mark.parametrize("known", [(None, 3, 4), (5, None, 4), (None, None, None)])
def test_flatten_from_with_several_unknown_extents(known: tuple[int | None, ...], rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.shape.flatten import FlattenFrom

    inputs = keras.Input(known)
    model = keras.Model(inputs, FlattenFrom(2)(inputs))
    x = draw(rng, 2, 5, 3, 4)
    assert np.array_equal(model(x), x.reshape(2, 5, 12))
    assert model.output.shape == (None, known[0], None if None in known[1:] else 12)


def test_flatten_batch_and_drop_batch(rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.shape.flatten import DropBatch, FlattenBatch

    x = draw(rng, 2, 3, 4)
    assert np.array_equal(FlattenBatch()(x), x.reshape(1, 24))
    assert np.array_equal(DropBatch()(x[:1]), x[0])
    check_saved(FlattenBatch(), x)
    check_saved(DropBatch(), x[:1])
    check_saved(keras.Sequential([FlattenBatch(), DropBatch()]), x)


def test_static_shapes() -> None:
    from caffe2tf.runtime.shape.flatten import DropBatch, FlattenBatch

    assert FlattenBatch().compute_output_shape((2, 3, 4)) == (1, 24)
    assert FlattenBatch().compute_output_shape((None, 3)) == (1, None)
    assert DropBatch().compute_output_shape((1, 3, None)) == (3, None)


def test_a_batch_of_several_items_is_not_dropped() -> None:
    import tensorflow as tf

    from caffe2tf.runtime.shape.flatten import DropBatch

    with pytest.raises(tf.errors.InvalidArgumentError, match="Can not squeeze dim"):
        DropBatch()(np.ones((2, 3), np.float32))


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.flatten import FlattenBatch, FlattenFrom

    for made in (FlattenFrom(2, dtype="float64"), FlattenBatch(dtype="float64")):
        check_gradient(made, rng, draw(rng, 2, 3, 4))
