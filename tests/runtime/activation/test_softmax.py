from __future__ import annotations

import numpy as np
import pytest

from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw


def softmax(x: Array, axis: int) -> Array:
    """A loop over the lines along ``axis``."""
    lines = np.moveaxis(x.astype(np.float64), axis, -1)
    out = np.empty_like(lines)
    for index in np.ndindex(lines.shape[:-1]):
        powers = [np.exp(v) for v in lines[index]]
        out[index] = [p / sum(powers) for p in powers]
    return np.moveaxis(out, -1, axis).astype(np.float32)


@pytest.mark.parametrize(("shape", "axis"), [((2, 3, 4), 1), ((2, 1, 3, 2, 1, 4), -1), ((2, 3, 1, 2, 2, 1, 2), 1)])
def test_values(shape: tuple[int, ...], axis: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.activation.softmax import ManyAxesSoftmax

    x = 3 * draw(rng, *shape)
    layer = ManyAxesSoftmax(axis)
    check_layer(layer, softmax(x, axis), x, tolerance=1e-6)
    check_precisions(layer, x)
    assert layer.compute_output_shape((None, 3, 4)) == (None, 3, 4)
    check_gradient(ManyAxesSoftmax(axis, dtype="float64"), rng, x)


def test_large_scores_do_not_overflow() -> None:
    from caffe2tf.runtime.activation.softmax import ManyAxesSoftmax

    have = np.asarray(ManyAxesSoftmax()(np.array([[1000, 1000, -1000]], np.float32)))
    assert have.tolist() == [[0.5, 0.5, 0]]


def test_one_class(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.activation.softmax import OneClassSoftmax

    layer = OneClassSoftmax()
    x = 30 * draw(rng, 2, 3, 1)
    check_layer(layer, np.ones((2, 3, 1)), x, tolerance=0)
    check_precisions(layer, x)
    x[1, 2, 0], x[0, 1, 0] = np.inf, np.nan
    check_layer(layer, np.where(np.isfinite(x), 1, np.nan), x, tolerance=0)
