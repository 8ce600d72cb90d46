from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, draw


def upsampled(x: Array, mask: Array, height: int, width: int) -> Array:
    """Caffe's loop: later values overwrite earlier ones."""
    out = np.zeros((x.shape[0], height, width, x.shape[3]), np.float32)
    for n, i, j, c in np.ndindex(x.shape):
        place = int(mask[n, i, j, c])
        if place >= 0:
            out[n, place // width, place % width, c] = x[n, i, j, c]
    return out


def masked(rng: np.random.Generator, shape: tuple[int, ...], places: int) -> Array:
    """Random positions, of which some are equal and some are -1."""
    return rng.integers(-1, places, shape).astype(np.float32)


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ({"size": (7, 9)}, (7, 9)),
        ({"factor": 2}, (6, 8)),
        ({"factor": (3, 2), "extra": (-1, 1)}, (8, 9)),
        ({"factor": 2, "extra": -1}, (5, 7)),
    ],
)
def test_values(arguments: dict[str, Any], size: tuple[int, int], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.resizing.upsample import UpsampleByMask

    x, mask = draw(rng, 2, 3, 4, 5), masked(rng, (2, 3, 4, 5), size[0] * size[1])
    layer = UpsampleByMask(**arguments)
    check_layer(layer, upsampled(x, mask, *size), x, mask, tolerance=0)
    assert layer.compute_output_shape([(None, 3, 4, 5), (None, 3, 4, 5)]) == (None, *size, 5)
    check_gradient(UpsampleByMask(**arguments, dtype="float64"), rng, x, mask, among=[0])


def test_unknown_extents_compiled_by_xla(rng: np.random.Generator) -> None:
    import keras
    import tensorflow as tf

    from caffe2tf.runtime.resizing.upsample import UpsampleByMask

    inputs = [keras.Input((None, None, 3)), keras.Input((None, None, 3))]
    model = keras.Model(inputs, UpsampleByMask(factor=(2, 3), extra=(-1, 0))(inputs))
    assert model.output_shape == (None, None, None, 3)
    assert keras.Model(inputs, UpsampleByMask((6, 7))(inputs)).output_shape == (None, 6, 7, 3)
    x, mask = draw(rng, 2, 4, 5, 3), masked(rng, (2, 4, 5, 3), 7 * 15)
    want = upsampled(x, mask, 7, 15)
    for run in (model, tf.function(model, jit_compile=True)):
        assert np.array_equal(run([tf.constant(x), tf.constant(mask)]), want)


def test_the_gradient_reaches_the_values_that_stay() -> None:
    import tensorflow as tf

    from caffe2tf.runtime.resizing.upsample import UpsampleByMask

    values, mask = tf.ones((1, 1, 3, 1)), tf.constant([[[[2.0], [2.0], [-1.0]]]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(UpsampleByMask((2, 2))([values, mask]) * 5)
    assert tape.gradient(total, values).numpy().ravel().tolist() == [0, 5, 0]


def test_empty_windows_are_dropped(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.resizing.upsample import UpsampleByMask

    assert not np.any(UpsampleByMask((5, 6))([draw(rng, 2, 3, 4, 5), np.full((2, 3, 4, 5), -1, np.float32)]))


def test_a_position_beyond_the_output() -> None:
    from caffe2tf.runtime.resizing.upsample import UpsampleByMask

    x = np.ones((1, 2, 2, 1), np.float32)
    with pytest.raises(Exception, match="the mask has a position beyond the output"):  # TensorFlow's, wrapped by Keras
        UpsampleByMask((3, 4))([x, 6 * x * 2])


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_other_precisions(dtype: str, rng: np.random.Generator) -> None:
    """Positions above 2048 are exact, which float16 would round."""
    from caffe2tf.runtime.resizing.upsample import UpsampleByMask

    x = draw(rng, 1, 2, 2, 3)
    mask = np.array([4095, 2049, -1, 3001, 2051, 0, 2050, 1, 4093, 2053, 2, 3], np.float32).reshape(1, 2, 2, 3)
    have = UpsampleByMask((64, 64), dtype=dtype)([x, mask])
    assert have.dtype.name == dtype.removeprefix("mixed_")
    assert_matches(have, upsampled(x, mask, 64, 64), tolerance=1e-2)
