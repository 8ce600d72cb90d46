from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw


def downsampled(x: Array, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """A loop over the pixels, each the mean of all pixels by the weights of a triangle."""
    _, height, width, _ = x.shape
    steps = ((height - 1) / (size[0] - 1), (width - 1) / (size[1] - 1))
    out = np.empty((x.shape[0], *size, x.shape[3]))
    for n, i, j, c in np.ndindex(out.shape):
        total, known, lost = 0.0, 0.0, 0.0
        for row, column in np.ndindex(height, width):
            distances = (abs(row - i * steps[0]) / steps[0], abs(column - j * steps[1]) / steps[1])
            weight = math.prod(max(0.0, 1 - d) for d in distances)
            value = float(x[n, row, column, c])
            if math.isnan(value):
                lost += weight
            else:
                known, total = known + weight, total + weight * value
        out[n, i, j, c] = math.nan if lost > known / 2 else total / known
    return out


@pytest.mark.parametrize("size", [(2, 3), (5, 4), (6, 7)])
def test_values(size: tuple[int, int], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.resizing.downsample import Downsample

    x = draw(rng, 2, 5, 6, 3)
    layer = Downsample(size)
    check_layer(layer, downsampled(x, size), x, everywhere=size == (2, 3))
    check_precisions(layer, x)
    check_gradient(Downsample(size, dtype="float64"), rng, x)
    assert layer.compute_output_shape((None, 5, 6, 3)) == (None, *size, 3)


def test_nan_is_ignored_until_it_outweighs_the_rest(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.resizing.downsample import Downsample

    x = draw(rng, 2, 7, 9, 3)
    x[0, 1:4, 2:6, 1] = np.nan
    x[1, 0, 0, 0] = np.nan
    want = downsampled(x, (4, 5))
    assert 0 < np.isnan(want).sum() < np.isnan(x).sum()
    assert_matches(Downsample((4, 5))(x), want)


def test_extents_that_must_be_known() -> None:
    import tensorflow as tf

    from caffe2tf.runtime.resizing.downsample import Downsample

    traced = tf.function(Downsample((2, 3)), input_signature=[tf.TensorSpec((2, None, 9, 3))])
    with pytest.raises(ValueError, match=r"along the axes \(1, 2\) must be known, not \(2, None, 9, 3\)"):
        traced(np.ones((2, 7, 9, 3), np.float32))
