from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw

# As TensorFlow computes it, and where it does not: a wider sum, a single channel, beta and k below cuDNN's limits.
ACROSS: list[dict[str, Any]] = [
    {"local_size": 5, "alpha": 0.5, "beta": 0.6, "k": 2.0},
    {"local_size": 3},
    {"local_size": 17, "alpha": 0.5, "beta": 0.6, "k": 2.0},
    {"local_size": 1, "alpha": -0.25, "beta": 0.6, "k": 9.0},
    {"local_size": 3, "beta": -0.5, "k": 0.25},
]
WITHIN: list[dict[str, Any]] = [{"local_size": 3, "alpha": 0.5, "beta": 0.6}, {"local_size": 5}]


def across(x: Array, local_size: int, alpha: float = 1, beta: float = 0.75, k: float = 1) -> npt.NDArray[np.float64]:
    out = np.empty(x.shape)
    for n, i, j, c in np.ndindex(x.shape):
        first = max(c - local_size // 2, 0)
        total = sum(float(v) ** 2 for v in x[n, i, j, first : c + local_size // 2 + 1])
        out[n, i, j, c] = x[n, i, j, c] / (k + alpha / local_size * total) ** beta
    return out


def within(x: Array, local_size: int, alpha: float = 1, beta: float = 0.75) -> npt.NDArray[np.float64]:
    out, radius = np.empty(x.shape), local_size // 2
    for n, i, j, c in np.ndindex(x.shape):
        square = x[n, max(i - radius, 0) : i + radius + 1, max(j - radius, 0) : j + radius + 1, c]
        mean = (square.astype(np.float64) ** 2).sum() / local_size**2
        out[n, i, j, c] = x[n, i, j, c] / (1 + alpha * mean) ** beta
    return out


@pytest.mark.parametrize("arguments", ACROSS, ids=str)
def test_across_channels(arguments: dict[str, Any], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.normalization.lrn import LRN

    x = 2 * draw(rng, 2, 3, 4, 6)
    layer = LRN(**arguments)
    check_layer(layer, across(x, **arguments), x, tolerance=1e-6)
    check_precisions(layer, x)
    check_gradient(LRN(**arguments, dtype="float64"), rng, x)


@pytest.mark.parametrize("arguments", WITHIN, ids=str)
def test_within_a_channel(arguments: dict[str, Any], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.normalization.lrn import LRNWithinChannel

    x = 2 * draw(rng, 2, 3, 4, 6)
    layer = LRNWithinChannel(**arguments)
    check_layer(layer, within(x, **arguments), x, tolerance=1e-6)
    check_precisions(layer, x)
    check_gradient(LRNWithinChannel(**arguments, dtype="float64"), rng, x)


@pytest.mark.parametrize(("name", "arguments"), [("LRN", a) for a in ACROSS[:3]] + [("LRNWithinChannel", WITHIN[0])])
def test_any_extents_compiled_by_xla(name: str, arguments: dict[str, Any], rng: np.random.Generator) -> None:
    import keras
    import tensorflow as tf

    from caffe2tf.runtime.normalization import lrn

    inputs = keras.Input((None, None, 6))
    model = keras.Model(inputs, getattr(lrn, name)(**arguments)(inputs))
    assert model.output.shape == (None, None, None, 6)
    x = draw(rng, 2, 4, 5, 6)
    oracle = across if name == "LRN" else within
    compiled = tf.function(model, jit_compile=True)
    assert_matches(compiled(tf.constant(x)), oracle(x, **arguments), tolerance=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments"), [("LRN", ACROSS[1]), ("LRN", ACROSS[2]), ("LRNWithinChannel", {"local_size": 3})]
)
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_large_values_in_mixed_precision(name: str, arguments: dict[str, Any], dtype: str) -> None:
    from caffe2tf.runtime.normalization import lrn

    x = np.full((1, 3, 4, 5), -300, np.float32)
    oracle = across if name == "LRN" else within
    have = np.asarray(getattr(lrn, name)(**arguments, dtype=dtype)(x), np.float32)
    assert_matches(have, oracle(x, **arguments), tolerance=1e-2)
