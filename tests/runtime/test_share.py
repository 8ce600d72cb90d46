"""One variable in two layers: what is listed, trained, saved and refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.layers.oracle import assert_matches
from tests.runtime.layer_checks import draw

if TYPE_CHECKING:
    import keras
    import numpy as np


def two_layers() -> keras.Model:
    """Layers ``a`` and ``b``, applied one after the other to 4 values."""
    import keras

    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(4, name="b")(keras.layers.Dense(4, name="a")(x)))


def shared() -> keras.Model:
    from caffe2tf.runtime.share import share_weight

    model = two_layers()
    share_weight(model, "b", "kernel", owner="a")
    return model


def test_the_variable_is_listed_once() -> None:
    model = shared()
    a, b = model.get_layer("a"), model.get_layer("b")
    assert b.kernel is a.kernel
    assert b.bias is not a.bias
    assert len(model.trainable_weights) == 3
    assert [w.name for w in b.trainable_weights] == ["kernel", "bias"]


def test_sharing_twice_changes_nothing() -> None:
    from caffe2tf.runtime.share import share_weight

    model = shared()
    share_weight(model, "b", "kernel", owner="a")
    assert len(model.weights) == 3


def test_gradients_of_both_uses_train_it(rng: np.random.Generator) -> None:
    import tensorflow as tf

    model = shared()
    x, kernel, factors = draw(rng, 3, 4), draw(rng, 4, 4), draw(rng, 3, 4)
    model.get_layer("a").kernel.assign(kernel)
    assert_matches(model(x), x @ kernel @ kernel)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(x) * factors)
    gradient = tape.gradient(total, model.get_layer("a").kernel.value)
    assert_matches(gradient, x.T @ factors @ kernel.T + (x @ kernel).T @ factors)


def test_weight_files_hold_the_values_for_each_layer(tmp_path: Path, rng: np.random.Generator) -> None:
    model, x = shared(), draw(rng, 3, 4)
    model.save_weights(tmp_path / "m.weights.h5")
    again, apart = shared(), two_layers()
    for other in (again, apart):
        other.load_weights(tmp_path / "m.weights.h5")
        assert_matches(other(x), model(x))
    assert again.get_layer("b").kernel is again.get_layer("a").kernel


def test_a_loaded_model_has_two_variables(tmp_path: Path, rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.share import share_weight

    model, x = shared(), draw(rng, 3, 4)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert len(again.weights) == 4
    assert_matches(again(x), model(x))
    share_weight(again, "b", "kernel", owner="a")
    assert len(again.weights) == 3
    assert_matches(again(x), model(x))


def test_weights_that_cannot_be_one_are_refused() -> None:
    import keras

    from caffe2tf.runtime.share import share_weight

    x = keras.Input((5,))
    model = keras.Model(x, keras.layers.Dense(3, name="b", use_bias=False)(keras.layers.Dense(4, name="a")(x)))
    with pytest.raises(ValueError, match=r"\(4, 3\) in b and float32 \(5, 4\) in a"):
        share_weight(model, "b", "kernel", owner="a")
    with pytest.raises(ValueError, match="b has 0 weights bias"):
        share_weight(model, "b", "bias", owner="a")
