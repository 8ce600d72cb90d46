from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw


def resized(x: Array, height: int, width: int) -> npt.NDArray[np.float64]:
    """A loop over the pixels of images whose corners stay corners."""
    _, rows, columns, _ = x.shape
    out = np.empty((x.shape[0], height, width, x.shape[3]))
    for i, j in np.ndindex(height, width):
        y, z = i * (rows - 1) / (height - 1), j * (columns - 1) / (width - 1)
        top, left = min(math.floor(y + 1e-9), rows - 1), min(math.floor(z + 1e-9), columns - 1)
        down, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
        a, b = y - top, z - left
        above = (1 - b) * x[:, top, left] + b * x[:, top, right]
        below = (1 - b) * x[:, down, left] + b * x[:, down, right]
        out[:, i, j] = (1 - a) * above + a * below
    return out


@pytest.mark.parametrize(("shape", "size"), [((2, 3, 4, 5), (7, 6)), ((2, 6, 9, 3), (4, 2)), ((1, 1, 4, 2), (3, 4))])
def test_values(shape: tuple[int, ...], size: tuple[int, int], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.arithmetic.accum import ResizeAligned

    x = draw(rng, *shape)
    layer = ResizeAligned(size)
    check_layer(layer, resized(x, *size), x, tolerance=1e-6)
    check_precisions(layer, x)
    check_gradient(ResizeAligned(size, dtype="float64"), rng, x)
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *size, shape[3])


def test_corners_stay(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.arithmetic.accum import ResizeAligned

    x = draw(rng, 2, 3, 4, 5)
    y = np.asarray(ResizeAligned((8, 11))(x))
    assert np.array_equal(y[:, ::7, ::10], x[:, ::2, ::3])


def test_extents_that_must_be_known() -> None:
    import tensorflow as tf

    from caffe2tf.runtime.arithmetic.accum import ResizeAligned

    traced = tf.function(ResizeAligned((2, 3)), input_signature=[tf.TensorSpec((2, None, 9, 3))])
    with pytest.raises(ValueError, match=r"along the axes \(1, 2\) must be known, not \(2, None, 9, 3\)"):
        traced(np.ones((2, 7, 9, 3), np.float32))
