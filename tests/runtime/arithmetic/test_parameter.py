from __future__ import annotations

import numpy as np

from tests.runtime.layer_checks import check_layer, check_precisions, draw


def test_values(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.arithmetic.parameter import Parameter

    x, value = draw(rng, 2, 3), draw(rng, 4, 5)
    layer = Parameter((4, 5))
    assert not np.any(layer(x)), "the tensor is 0 at first"
    layer.set_weights([value])
    check_layer(layer, value, x, tolerance=0)
    check_precisions(layer, x)
    assert layer.compute_output_shape((None, 7)) == (4, 5)


def test_it_is_trained(rng: np.random.Generator) -> None:
    import tensorflow as tf

    from caffe2tf.runtime.arithmetic.parameter import Parameter

    layer, factors = Parameter((4, 5)), draw(rng, 4, 5)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(draw(rng, 2)) * factors)
    (gradient,) = tape.gradient(total, layer.trainable_weights)
    assert np.array_equal(gradient, factors)
