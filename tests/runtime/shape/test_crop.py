from __future__ import annotations

import numpy as np

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient

MARGINS = ((1, 0), (0, 2), (3, 1), (0, 0))


def draw(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def test_crop_values(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.crop import Crop

    x = draw(rng, 3, 4, 7, 2)
    assert np.array_equal(Crop(MARGINS)(x), x[1:, :2, 3:6])
    check_saved(Crop(MARGINS), x)


def test_crop_static_shape() -> None:
    from caffe2tf.runtime.shape.crop import Crop

    assert Crop(MARGINS).compute_output_shape((3, None, 7, 2)) == (2, None, 3, 2)


def test_crop_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.crop import Crop

    check_gradient(Crop(MARGINS, dtype="float64"), rng, draw(rng, 3, 4, 7, 2))


def test_crop_like_values(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.crop import CropLike

    x, like = draw(rng, 2, 8, 9, 3), draw(rng, 2, 5, 4, 6)  # the reference is channels first
    made = CropLike(((1, 2, 1), (2, 3, 2)))
    assert np.array_equal(made([x, like]), x[:, 1:5, 2:8])
    check_saved(made, x, like)


def test_crop_like_extents_known_only_at_run_time(rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.shape.crop import CropLike

    made = CropLike(((1, 2, 1), (2, 3, 2)))
    assert made.compute_output_shape(((2, None, 9, 3), (2, 5, 4, None))) == (2, 4, None, 3)
    inputs = [keras.Input((None, None, 3)), keras.Input((5, None, None))]
    model = keras.Model(inputs, made(inputs))
    assert model.output.shape == (None, None, None, 3)
    for rows, columns in ((3, 5), (6, 2)):
        x, like = draw(rng, 2, 8, 9, 3), draw(rng, 2, 5, rows, columns)
        assert np.array_equal(model([x, like]), x[:, 1 : 1 + rows, 2 : 2 + columns])


def test_crop_like_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.crop import CropLike

    made = CropLike(((1, 1, 2),), dtype="float64")
    check_gradient(made, rng, draw(rng, 2, 6, 3), draw(rng, 2, 4), among=[0])
