from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient


def permuted_in_place(x: Array, order: tuple[int, ...]) -> Array:
    """Caffe's loop over one memory."""
    source = np.arange(x.size).reshape(x.shape).transpose(order)
    memory = x.reshape(-1).copy()
    for i, place in enumerate(source.reshape(-1)):
        memory[i] = memory[place]
    return memory.reshape(source.shape)


@pytest.mark.parametrize("order", [(0, 3, 1, 2), (0, 2, 3, 1), (0, 1, 2, 3), (3, 1, 0, 2), (1, 0, 3, 2)])
def test_values(order: tuple[int, ...], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.permute import PermuteInPlace

    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    want = permuted_in_place(x, order)
    assert np.array_equal(PermuteInPlace(order)(x), want)
    assert np.array_equal(want, x.transpose(order)) == (order == (0, 1, 2, 3))
    if order[0] == 0:
        check_saved(PermuteInPlace(order), x)


def test_a_moved_batch_axis_is_saved_with_its_extent(rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.shape.permute import PermuteInPlace

    made = PermuteInPlace((2, 0, 1))
    inputs = keras.Input(batch_shape=(2, 3, 4))
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    model = keras.Model(inputs, PermuteInPlace.from_config(made.get_config())(inputs))
    assert model.output.shape == (4, 2, 3)
    assert np.array_equal(model(x), permuted_in_place(x, (2, 0, 1)))


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.permute import PermuteInPlace

    check_gradient(PermuteInPlace((0, 2, 1), dtype="float64"), rng, rng.standard_normal((2, 3, 4)))
