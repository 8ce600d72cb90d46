from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw

OPTIONS: list[dict[str, Any]] = [
    {},
    {"axis": 1, "epsilon": 0.5, "outside_root": True},
    {"epsilon": 0.25, "scale": True, "center": True, "momentum": 0.75},
    {"axis": 2, "scale": True},
]


def normalized(x: Array, axis: int, epsilon: float, *, outside: bool) -> npt.NDArray[np.float64]:
    """A loop over the channels."""
    out = np.empty(x.shape)
    for c in range(x.shape[axis]):
        values = np.moveaxis(x, axis, 0)[c].astype(np.float64)
        mean = values.sum() / values.size
        variance = ((values - mean) ** 2).sum() / values.size
        root = math.sqrt(variance) + epsilon if outside else math.sqrt(variance + epsilon)
        np.moveaxis(out, axis, 0)[c] = (values - mean) / root
    return out


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_values(options: dict[str, Any], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.normalization.batch_norm import NormalizeBatch

    x = (2 + 3 * draw(rng, 2, 3, 4, 5)).astype(np.float32)
    layer = NormalizeBatch(**options)
    layer.build(x.shape)
    for weight in layer.trainable_weights:
        weight.assign(draw(rng, *weight.shape))
    axis = options.get("axis", -1)
    spread = [1, 1, 1, 1]
    spread[axis] = -1
    want = normalized(x, axis, options.get("epsilon", 1e-5), outside="outside_root" in options)
    for weight in layer.trainable_weights:
        value = weight.numpy().reshape(spread)
        want = want * value if weight.name == "gamma" else want + value
    assert_matches(layer(x), want)
    # The statistics are those of the batch: a batch of another size would have others.
    check_layer(layer, want, x)
    check_precisions(layer, x)
    check_gradient(NormalizeBatch(**options, dtype="float64"), rng, x)


def test_training_updates_moving_averages_that_it_does_not_use(rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.normalization.batch_norm import NormalizeBatch

    x = (2 + 3 * draw(rng, 6, 4, 5, 3)).astype(np.float32)
    layer = NormalizeBatch(epsilon=0.1, scale=True, center=True, momentum=0.75)
    layer.build(x.shape)
    assert [w.name for w in layer.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert len(layer.trainable_weights) == 2
    want = normalized(x, -1, 0.1, outside=False)
    assert_matches(layer(x), want)
    assert not layer.averages[0].numpy().any(), "inference updates nothing"
    assert_matches(layer(x, training=True), want)
    assert_matches(layer.averages[0].numpy(), x.mean((0, 1, 2)) / 4)
    assert_matches(layer.averages[1].numpy(), 0.75 + x.var((0, 1, 2)) / 4)
    assert_matches(layer(x), want)
    stored = keras.layers.BatchNormalization(epsilon=0.1)
    stored.build(x.shape)
    stored.set_weights(layer.get_weights())
    assert_matches(stored.moving_variance, layer.averages[1].numpy())


def test_it_learns_in_fit(rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.normalization.batch_norm import NormalizeBatch

    inputs = keras.Input((4, 5, 3))
    model = keras.Model(inputs, NormalizeBatch(scale=True, center=True, momentum=0.75)(inputs))
    x = (2 + draw(rng, 6, 4, 5, 3)).astype(np.float32)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(x, np.zeros_like(x), batch_size=6, epochs=1, verbose=0)
    assert np.all(model.weights[0].numpy() < 1)
    assert_matches(model.weights[2].numpy(), x.mean((0, 1, 2)) / 4)


def test_moving_averages_keep_float32_in_mixed_precision() -> None:
    from caffe2tf.runtime.normalization.batch_norm import NormalizeBatch

    layer = NormalizeBatch(momentum=0.9999, dtype="mixed_float16")
    layer.build((None, 2))
    layer.averages[0].assign([1, -3])
    layer(np.array([[0, -2], [0, -2]], np.float32), training=True)
    assert_matches(layer.averages[0].numpy(), [0.9999, -2.9999], tolerance=1e-6)


def test_the_gradient_is_finite_where_nothing_varies() -> None:
    import tensorflow as tf

    from caffe2tf.runtime.normalization.batch_norm import NormalizeBatch

    x = tf.constant([[3.0, -4.0], [3.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(NormalizeBatch(outside_root=True, epsilon=0.5)(x) ** 2)
    assert np.isfinite(tape.gradient(y, x)).all()


def test_large_values_in_mixed_precision() -> None:
    from caffe2tf.runtime.normalization.batch_norm import NormalizeBatch

    x = np.array([[900, -2], [-900, 5]], np.float32)
    have = NormalizeBatch(dtype="mixed_float16")(x)
    assert_matches(have, normalized(x, -1, 1e-5, outside=False), tolerance=1e-3)


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("kind", ["mean", "variance", "zero"])
def test_statistic(kind: str, axis: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.normalization.batch_norm import BatchStatistic

    x = (2 + 3 * draw(rng, 2, 3, 4, 5)).astype(np.float32)
    by_channel = np.moveaxis(x.astype(np.float64), axis, 0).reshape(x.shape[axis], -1)
    want = {"mean": by_channel.mean(1), "variance": by_channel.var(1), "zero": np.zeros(x.shape[axis])}[kind]
    layer = BatchStatistic(kind, axis=axis)
    check_layer(layer, want.reshape(1, 1, 1, -1), x)
    check_precisions(layer, x)


def test_refuse_another_statistic() -> None:
    from caffe2tf.runtime.normalization.batch_norm import BatchStatistic

    with pytest.raises(ValueError, match="kind must be 'mean', 'variance' or 'zero', not 'median'"):
        BatchStatistic("median")


@pytest.mark.parametrize("options", [{}, {"axis": 1, "epsilon": 0.5}, {"scale": False}, {"center": False}], ids=str)
def test_centred(options: dict[str, Any], rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.normalization.batch_norm import CentredBatchNormalization

    x = draw(rng, 4, 3, 6, 5)
    layer, theirs = CentredBatchNormalization(**options), keras.layers.BatchNormalization(**options)
    for each in (layer, theirs):
        each.build(x.shape)
    for mine, other in zip(layer.weights, theirs.weights, strict=True):
        mine.assign(np.abs(draw(rng, *mine.shape)) + 0.25)
        other.assign(mine)
    check_layer(layer, theirs(x).numpy(), x)
    check_precisions(layer, x)
    assert_matches(layer(x, training=True), theirs(x, training=True))
    assert_matches(layer.moving_mean, theirs.moving_mean)
    layer.trainable = theirs.trainable = False
    assert_matches(layer(x, training=True), theirs(x, training=True))
