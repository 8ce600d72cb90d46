from __future__ import annotations

import math

import numpy as np
import pytest

from tests.layers.oracle import assert_matches
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw


@pytest.mark.parametrize("axis", [0, 2, -1, -3])
def test_items_are_divided_by_their_norm(axis: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.normalization.vector_norm import Normalization

    x = draw(rng, 2, 3, 4)
    items = np.moveaxis(x.astype(np.float64), axis, 0)
    want = np.moveaxis(np.stack([v / math.sqrt((v**2).sum()) for v in items]), 0, axis)
    layer = Normalization(axis)
    check_layer(layer, want, x, tolerance=1e-6)
    check_precisions(layer, x)
    check_gradient(Normalization(axis, dtype="float64"), rng, x)


def test_an_item_of_zeros_becomes_nan() -> None:
    from caffe2tf.runtime.normalization.vector_norm import Normalization

    have = Normalization()(np.array([[0, 0], [3, -4]], np.float32))
    assert_matches(have, [[math.nan, math.nan], [0.6, -0.8]], tolerance=1e-6)


@pytest.mark.parametrize("axis", [1, -1])
def test_channel_norm(axis: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.normalization.vector_norm import ChannelNorm

    x = draw(rng, 2, 3, 4, 5)
    lines = np.moveaxis(x.astype(np.float64), axis, -1)
    norms = np.array([math.sqrt(sum(v * v for v in lines[i])) for i in np.ndindex(lines.shape[:-1])])
    layer = ChannelNorm(axis)
    check_layer(layer, np.expand_dims(norms.reshape(lines.shape[:-1]), axis), x, tolerance=1e-6)
    check_precisions(layer, x)
    check_gradient(ChannelNorm(axis, dtype="float64"), rng, x)
    assert layer.compute_output_shape((None, 3, None, 3)) == ((None, 1, None, 3) if axis == 1 else (None, 3, None, 1))


def test_channel_norm_of_zeros_has_a_gradient() -> None:
    import tensorflow as tf

    from caffe2tf.runtime.normalization.vector_norm import ChannelNorm

    x = tf.constant([[[3.0, -4.0], [0.0, 0.0]]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ChannelNorm(-1)(x)
    assert_matches(tape.gradient(y, x), [[[0.6, -0.8], [0.0, 0.0]]])


@pytest.mark.parametrize("name", ["Normalization", "ChannelNorm"])
def test_large_values_in_mixed_precision(name: str) -> None:
    from caffe2tf.runtime.normalization import vector_norm

    have = np.asarray(getattr(vector_norm, name)(dtype="mixed_float16")(np.array([[900, -1200]], np.float32)))
    assert have.dtype == np.float16
    assert_matches(have, [[0.6, -0.8]] if name == "Normalization" else [[1500]], tolerance=1e-3)
