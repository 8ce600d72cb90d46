from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.layer_checks import check_layer, check_precisions, draw


def interpolated(x: Array, height: int, width: int) -> npt.NDArray[np.float64]:
    """A loop over the pixels of images whose corners stay corners."""
    _, rows, columns, _ = x.shape
    out = np.empty((x.shape[0], height, width, x.shape[3]))
    for i, j in np.ndindex(height, width):
        y, z = i * (rows - 1) / max(height - 1, 1), j * (columns - 1) / max(width - 1, 1)
        top, left = math.floor(y), math.floor(z)
        down, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
        above = (1 - z + left) * x[:, top, left] + (z - left) * x[:, top, right]
        below = (1 - z + left) * x[:, down, left] + (z - left) * x[:, down, right]
        out[:, i, j] = (1 - y + top) * above + (y - top) * below
    return out


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ({"size": (7, 6)}, (7, 6)),
        ({"size": (2, 13)}, (2, 13)),
        ({"size": (1, 1)}, (1, 1)),
        ({"zoom": 3}, (13, 19)),
        ({"shrink": 2}, (3, 4)),
        ({"shrink": 3, "zoom": 2}, (3, 5)),
    ],
)
def test_values(arguments: dict[str, Any], size: tuple[int, int], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.resizing.interp import Interp

    x = draw(rng, 2, 5, 7, 3)
    layer = Interp(**arguments)
    check_layer(layer, interpolated(x, *size), x)
    check_precisions(layer, x)
    assert layer.compute_output_shape((None, 5, 7, 3)) == (None, *size, 3)


def test_gradient(rng: np.random.Generator) -> None:
    """It is a linear function, computed in float32: the gradient is checked against the oracle."""
    import tensorflow as tf

    from caffe2tf.runtime.resizing.interp import Interp

    x, factors, step = draw(rng, 2, 5, 7, 3), draw(rng, 2, 9, 13, 3), draw(rng, 2, 5, 7, 3)
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(Interp(zoom=2)(variable) * factors)
    found = np.sum(tape.gradient(total, variable).numpy() * step)
    assert found == pytest.approx((interpolated(step, 9, 13) * factors).sum(), rel=1e-4)


def test_extents_known_at_run_time(rng: np.random.Generator) -> None:
    import keras
    import tensorflow as tf

    from caffe2tf.runtime.resizing.interp import Interp

    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, Interp(zoom=3, shrink=2)(inputs))
    assert model.output_shape == (None, None, None, 3)
    assert keras.Model(inputs, Interp((4, 5))(inputs)).output_shape == (None, 4, 5, 3)
    traced = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, 3))])
    for shape, size in (((2, 6, 7, 3), (7, 10)), ((1, 3, 4, 3), (4, 4))):
        x = draw(rng, *shape)
        assert_matches(traced(x), interpolated(x, *size))
