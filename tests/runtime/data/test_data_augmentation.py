from __future__ import annotations

import math

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient


def draw(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def cropped(x: Array, height: int, width: int) -> Array:
    """Pixel by pixel, channels last."""
    n, rows, columns, channels = x.shape
    out = np.empty((n, height, width, channels))
    for i, j in np.ndindex(height, width):
        down = max(0.0, min(i + (rows - height) / 2, rows - 1.05))
        across = max(0.0, min(j + (columns - width) / 2, columns - 1.05))
        top, left = math.floor(down), math.floor(across)
        v, u = down - top, across - left
        for di, dj, share in ((0, 0, (1 - v) * (1 - u)), (0, 1, (1 - v) * u), (1, 0, v * (1 - u)), (1, 1, v * u)):
            out[:, i, j] = (out[:, i, j] if di or dj else 0) + share * x[
                :, min(top + di, rows - 1), min(left + dj, columns - 1)
            ]
    return out.astype(np.float32)


@pytest.mark.parametrize("per_pixel", [False, True])
def test_a_mean_is_subtracted(per_pixel: bool, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.data.data_augmentation import SubtractMean

    x = draw(rng, 2, 3, 4, 5)
    made = SubtractMean(per_pixel=per_pixel)
    made.build(x.shape)
    mean = draw(rng, *(x.shape[1:] if per_pixel else x.shape[3:]))
    assert [w.name for w in made.weights] == ["mean"]
    assert made.trainable_weights == []
    assert np.array_equal(made(x), x)
    made.set_weights([mean])
    assert np.array_equal(made(x), x - mean)
    check_saved(made, x)


@pytest.mark.parametrize("size", [(6, 9), (5, 8), (3, 4), (6, 4), (1, 1)])
def test_the_centre_of_images(size: tuple[int, int], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.data.data_augmentation import BilinearCrop

    x = draw(rng, 2, 6, 9, 3)
    assert_matches(BilinearCrop(*size)(x), cropped(x, *size))
    check_saved(BilinearCrop(*size), x)


def test_an_even_margin_is_cut_exactly(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.data.data_augmentation import BilinearCrop

    x = draw(rng, 2, 7, 9, 3)
    assert np.array_equal(BilinearCrop(3, 5)(x), x[:, 2:5, 2:7])
    assert BilinearCrop(3, 5).compute_output_shape((None, 7, 9, 3)) == (None, 3, 5, 3)


@pytest.mark.parametrize("policy", ["mixed_float16", "float64"])
def test_dtypes(policy: str, rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.data.data_augmentation import BilinearCrop, SubtractMean

    x = draw(rng, 2, 6, 9, 3)
    for made in (BilinearCrop(5, 4, dtype=policy), SubtractMean(dtype=policy)):
        assert made(x).dtype == made(keras.Input((6, 9, 3))).dtype == made.compute_dtype


def test_gradients(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.data.data_augmentation import BilinearCrop, SubtractMean

    for made in (BilinearCrop(5, 4, dtype="float64"), SubtractMean(dtype="float64")):
        check_gradient(made, rng, draw(rng, 2, 6, 9, 3))
