from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient


def pieces_of(x: Array, axis: int, ends: list[int]) -> list[Array]:
    return [np.take(x, range(a, b), axis) for a, b in zip([0, *ends], [*ends, x.shape[axis]], strict=True)]


@pytest.mark.parametrize(("axis", "points"), [(0, (1,)), (1, (1, 4)), (2, (3,)), (1, ())])
def test_points(axis: int, points: tuple[int, ...], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.slice import Slice

    x = rng.standard_normal((3, 6, 4)).astype(np.float32)
    for have, want in zip(Slice(axis, points)(x), pieces_of(x, axis, list(points)), strict=True):
        assert np.array_equal(have, want)
    if axis:
        check_saved(Slice(axis, points), x)


@pytest.mark.parametrize(("axis", "pieces"), [(0, 3), (1, 2), (2, 4), (1, 1)])
def test_equal_pieces(axis: int, pieces: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.slice import Slice

    x = rng.standard_normal((3, 6, 4)).astype(np.float32)
    each = x.shape[axis] // pieces
    wanted = pieces_of(x, axis, [each * i for i in range(1, pieces)])
    for have, want in zip(Slice(axis, pieces=pieces)(x), wanted, strict=True):
        assert np.array_equal(have, want)
    if axis:
        check_saved(Slice(axis, pieces=pieces), x)


def test_unknown_extents(rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.shape.slice import Slice

    assert Slice(1, pieces=2).compute_output_shape((3, None, 5)) == [(3, None, 5)] * 2
    assert Slice(1, (1,)).compute_output_shape((3, None, 5)) == [(3, 1, 5), (3, None, 5)]
    inputs = keras.Input((None, 5))
    model = keras.Model(inputs, [*Slice(1, pieces=2)(inputs), *Slice(1, (1,))(inputs)])
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    for have, want in zip(model(x), (x[:, :2], x[:, 2:], x[:, :1], x[:, 1:]), strict=True):
        assert np.array_equal(have, want)


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.slice import Slice

    check_gradient(Slice(1, (2,), dtype="float64"), rng, rng.standard_normal((2, 5)))
