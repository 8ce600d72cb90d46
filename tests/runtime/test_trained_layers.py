"""Scale, Bias, Embed, Parameter and their like: saved and loaded again, and in a graph of TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    import keras

CASES = {
    "scale": (2, 3, 4),
    "scale_inner": (2, 3, 4),
    "scale_number": (2, 3, 4),
    "bias": (2, 3, 4),
    "scale_by": (2, 3, 4),
    "bias_by": (2, 3, 4),
    "embed": (2, 3),
    "parameter": (2, 3),
    "normalize": (5, 3, 4),
    "normalize_inner": (5, 3, 4),
    "flatten": (2, 3, 4, 5),
    "whole": (2, 3, 4),
}


def result(name: str, x: keras.KerasTensor) -> keras.KerasTensor:
    import keras

    from caffe2tf.runtime.arithmetic import embed, parameter, scale
    from caffe2tf.runtime.normalization import batch_norm
    from caffe2tf.runtime.shape import flatten

    def means() -> keras.KerasTensor:
        return keras.layers.GlobalAveragePooling1D()(x)

    made = {
        "scale": lambda: scale.Scale()(x),
        "scale_inner": lambda: scale.Scale(axis=(1, 2), center=False)(x),
        "scale_number": lambda: scale.Scale(axis=())(x),
        "bias": lambda: scale.Bias(axis=1)(x),
        "scale_by": lambda: scale.ScaleBy(axis=(0, 2))([x, means()]),
        "bias_by": lambda: scale.BiasBy(axis=(0, 2))([x, means()]),
        "embed": lambda: embed.Embed(7, 5)(x),
        "parameter": lambda: parameter.Parameter((4, 5))(x),
        "normalize": lambda: batch_norm.NormalizeBatch(epsilon=0.1)(x),
        "normalize_inner": lambda: batch_norm.NormalizeBatch(axis=1)(x),
        "flatten": lambda: flatten.FlattenFrom(2)(x),
        "whole": lambda: flatten.DropBatch()(flatten.FlattenBatch()(x)),
    }
    return made[name]()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("free", [True, False])
def test_saved_and_traced(name: str, free: bool, tmp_path: Path, rng: np.random.Generator) -> None:
    import keras
    import tensorflow as tf

    shape = CASES[name]
    inputs = keras.Input(shape[1:]) if free else keras.Input(batch_shape=shape)
    model = keras.Model(inputs, result(name, inputs))
    for variable in model.weights:
        variable.assign(rng.normal(0, 2, variable.shape))
    x = (rng.integers(0, 7, shape) if name == "embed" else rng.normal(0, 2, shape)).astype(np.float32)
    want = model(x).numpy()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(again(x), want)
    assert np.allclose(tf.function(model)(tf.constant(x)), want, rtol=1e-6, atol=1e-6)
    static = model.output_shape
    assert len(static) == want.ndim
    assert all(s in (None, d) for s, d in zip(static, want.shape, strict=True))
    assert None not in static or free


def test_several_extents_that_are_not_known(rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.shape.flatten import FlattenFrom

    inputs = keras.Input((None, 3, 4))
    model = keras.Model(inputs, FlattenFrom(2)(inputs))
    x = rng.normal(0, 2, (2, 5, 3, 4)).astype(np.float32)
    assert np.array_equal(model(x), x.reshape(2, 5, 12))


def test_extents_that_must_be_known() -> None:
    import keras

    from caffe2tf.runtime.arithmetic.scale import Scale

    with pytest.raises(ValueError, match="must be known"):
        Scale(axis=1)(keras.Input((None, 3)))
