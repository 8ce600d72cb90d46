from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient


def reorg(x: Array, s: int) -> Array:
    """Value by value, channels first."""
    n, channels, height, width = x.shape
    count = channels // s**2
    read = x.reshape(n, count, s * height, s * width)
    written = np.empty(x.shape, np.float32)
    for c, h, w, i, j in np.ndindex(count, height, width, s, s):
        written[:, (s * i + j) * count + c, h, w] = read[:, c, s * h + i, s * w + j]
    return written.reshape(n, channels * s**2, height // s, width // s)


# Rows that are a multiple of the stride's square are not transposed.
@pytest.mark.parametrize(("stride", "shape"), [(2, (2, 8, 4, 6)), (2, (2, 4, 6, 10)), (3, (2, 18, 3, 6))])
@pytest.mark.parametrize("first", [False, True])
def test_values(stride: int, shape: tuple[int, ...], first: bool, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.reorg import Reorg

    x = rng.standard_normal(shape).astype(np.float32)
    fed = x if first else np.ascontiguousarray(np.moveaxis(x, 1, 3))
    made = Reorg(stride, data_format="channels_first" if first else "channels_last")
    have = np.asarray(made(fed))
    assert np.array_equal(have if first else np.moveaxis(have, 3, 1), reorg(x, stride))
    check_saved(made, fed)


def test_an_image_of_unknown_size(rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.shape.reorg import Reorg

    image = keras.Input((None, None, 8))
    model = keras.Model(image, Reorg(2)(image))
    assert model.output.shape == (None, None, None, 32)
    x = rng.standard_normal((2, 8, 4, 6)).astype(np.float32)
    assert np.array_equal(np.moveaxis(np.asarray(model(np.moveaxis(x, 1, 3))), 3, 1), reorg(x, 2))


def test_static_shape() -> None:
    from caffe2tf.runtime.shape.reorg import Reorg

    assert Reorg(2).compute_output_shape((None, 4, None, 8)) == (None, 2, None, 32)
    assert Reorg(2, data_format="channels_first").compute_output_shape((3, None, 4, 6)) == (3, None, 2, 3)


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.reorg import Reorg

    check_gradient(Reorg(2, dtype="float64"), rng, rng.standard_normal((2, 6, 4, 4)))
