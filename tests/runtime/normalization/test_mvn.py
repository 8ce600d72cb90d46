from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw


def normalized(x: Array, axis: tuple[int, ...], *, variance: bool, epsilon: float) -> npt.NDArray[np.float64]:
    """A loop over the indices of the axes that are left."""
    wide = x.reshape(*x.shape, *(1,) * (4 - x.ndim)).astype(np.float64)
    out = np.empty(wide.shape)
    for index in np.ndindex(*(1 if a in axis else n for a, n in enumerate(wide.shape))):
        part = tuple(slice(None) if a in axis else i for a, i in enumerate(index))
        values = wide[part]
        mean = values.sum() / values.size
        deviation = math.sqrt(((values - mean) ** 2).sum() / values.size)
        out[part] = (values - mean) / (deviation + epsilon if variance else 1)
    return out


@pytest.mark.parametrize("variance", [True, False])
@pytest.mark.parametrize(("shape", "axis"), [((2, 3, 4, 5), (1, 2)), ((2, 3, 4, 5), (1, 2, 3)), ((2, 5, 3), (2, 3))])
def test_values(shape: tuple[int, ...], axis: tuple[int, ...], variance: bool, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.normalization.mvn import MVN

    x = (3 * draw(rng, *shape) - 1).astype(np.float32)
    layer = MVN(axis, normalize_variance=variance, epsilon=0.25)
    check_layer(layer, normalized(x, axis, variance=variance, epsilon=0.25), x, tolerance=1e-6)
    check_precisions(layer, x)
    check_gradient(MVN(axis, normalize_variance=variance, dtype="float64"), rng, x)


def test_four_axes_come_out() -> None:
    from caffe2tf.runtime.normalization.mvn import MVN

    assert MVN((2, 3)).compute_output_shape((None, 3)) == (None, 3, 1, 1)
    assert MVN((1, 2)).compute_output_shape((None, None, 5, 3)) == (None, None, 5, 3)


def test_any_extents_compiled_by_xla(rng: np.random.Generator) -> None:
    import keras
    import tensorflow as tf

    from caffe2tf.runtime.normalization.mvn import MVN

    inputs = keras.Input((None, 5, None))
    model = keras.Model(inputs, MVN((1, 2), epsilon=0.1)(inputs))
    assert model.output.shape == (None, None, 5, None)
    x = draw(rng, 2, 4, 5, 6)
    want = normalized(x, (1, 2), variance=True, epsilon=0.1)
    assert_matches(tf.function(model, jit_compile=True)(tf.constant(x)), want, tolerance=1e-6)


def test_constant_values_become_zero_and_have_a_gradient(rng: np.random.Generator) -> None:
    import tensorflow as tf

    from caffe2tf.runtime.normalization.mvn import MVN

    values = draw(rng, 2, 4, 5, 3)
    values[1, ..., 2] = 7
    x = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = MVN((1, 2))(x)
        total = tf.reduce_sum(y**2)
    assert not np.any(y[1, ..., 2])
    assert np.isfinite(tape.gradient(total, x)).all()


def test_mixed_precision() -> None:
    """The default epsilon is 0 in float16, whose squares overflow above 255."""
    from caffe2tf.runtime.normalization.mvn import MVN

    x = np.array([[[[900, 7]], [[-900, 7]]]], np.float32)
    have = np.asarray(MVN((1, 2), dtype="mixed_float16")(x))
    assert have.dtype == np.float16
    assert have.tolist() == [[[[1, 0]], [[-1, 0]]]]
