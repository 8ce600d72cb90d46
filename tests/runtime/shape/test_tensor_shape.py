from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient


def draw(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("axes", [(0, 3, 1, 2), (2,), (1, 1)])
def test_extents_as_values(axes: tuple[int, ...], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.tensor_shape import TensorShape

    x = draw(rng, 2, 3, 4, 5)
    have = TensorShape(axes)(x)
    assert have.dtype == "float32"
    assert np.array_equal(have, [x.shape[a] for a in axes])
    assert TensorShape(axes).compute_output_shape((None, 3, 4, 5)) == (len(axes),)
    check_saved(TensorShape(axes), x)


@pytest.mark.parametrize("extents", [(4, 6), (3, 2, -1), (23.8, 1.2)])
def test_reshape_to_values(extents: tuple[float, ...], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.tensor_shape import ReshapeTo

    x = draw(rng, 2, 3, 4)
    want = x.reshape([round(v) for v in extents])
    made = ReshapeTo(len(extents))
    assert np.array_equal(made([x, np.array(extents, np.float32)]), want)
    assert made.compute_output_shape([(2, 3, 4), (len(extents),)]) == (None,) * len(extents)
    check_saved(made, x, np.array(extents, np.float32))


def test_a_shape_is_read_when_the_model_runs(rng: np.random.Generator) -> None:
    """A tensor becomes what another one is, whatever their batch and sizes."""
    import keras

    from caffe2tf.runtime.shape.tensor_shape import ReshapeTo, TensorShape

    flat, like = keras.Input(()), keras.Input((None, None))
    model = keras.Model([flat, like], ReshapeTo(3)([flat, TensorShape((0, 1, 2))(like)]))
    for shape in ((2, 3, 4), (5, 1, 2)):
        x = draw(rng, int(np.prod(shape)))
        assert np.array_equal(model([x, np.zeros(shape, np.float32)]), x.reshape(shape))


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.tensor_shape import ReshapeTo

    check_gradient(ReshapeTo(2, dtype="float64"), rng, draw(rng, 2, 6), [4, 3], among=[0])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_large_extents_under_mixed_precision(policy: str) -> None:
    from caffe2tf.runtime.shape.tensor_shape import ReshapeTo, TensorShape

    x = np.ones((2, 2049), np.float32)
    extents = TensorShape((1, 0), dtype=policy)(x)
    assert np.array_equal(extents, [2049, 2])
    y = ReshapeTo(2, dtype=policy)([x, extents])
    assert y.shape == (2049, 2)
    assert y.dtype == policy.removeprefix("mixed_")
