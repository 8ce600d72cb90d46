from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient


def spread(x: Array, s: int, *, inner: bool) -> Array:
    """Pixel by pixel, channels last."""
    n, height, width, channels = x.shape
    count = channels // s**2
    y = np.empty((n, s * height, s * width, count), np.float32)
    for h, w, i, j, c in np.ndindex(height, width, s, s, count):
        channel = (s * c + i) * s + j if inner else (s * i + j) * count + c
        y[:, s * h + i, s * w + j, c] = x[:, h, w, channel]
    return y


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("size", [2, 3])
def test_values(size: int, inner: bool, first: bool, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.depth_to_space import DepthToSpace

    x = rng.standard_normal((2, 3, 5, 36)).astype(np.float32)
    want = spread(x, size, inner=inner)
    made = DepthToSpace(size, inner=inner, data_format="channels_first" if first else "channels_last")
    fed = np.ascontiguousarray(np.moveaxis(x, 3, 1)) if first else x
    have = np.asarray(made(fed))
    assert np.array_equal(np.moveaxis(have, 1, 3) if first else have, want)
    if size == 2:
        check_saved(made, fed)


@pytest.mark.parametrize("inner", [False, True])
def test_an_image_of_unknown_size(inner: bool, rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.shape.depth_to_space import DepthToSpace

    image = keras.Input((None, None, 8))
    model = keras.Model(image, DepthToSpace(2, inner=inner)(image))
    assert model.output.shape == (None, None, None, 2)
    x = rng.standard_normal((2, 3, 5, 8)).astype(np.float32)
    assert np.array_equal(model(x), spread(x, 2, inner=inner))


def test_static_shape() -> None:
    from caffe2tf.runtime.shape.depth_to_space import DepthToSpace

    assert DepthToSpace(2).compute_output_shape((None, None, 3, 8)) == (None, None, 6, 2)
    assert DepthToSpace(3, data_format="channels_first").compute_output_shape((2, 18, None, 5)) == (2, 2, None, 15)


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.shape.depth_to_space import DepthToSpace

    check_gradient(DepthToSpace(2, inner=True, dtype="float64"), rng, rng.standard_normal((2, 3, 2, 8)))
