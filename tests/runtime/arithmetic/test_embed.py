from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw


@pytest.mark.parametrize("shape", [(2, 3), (4,)])
def test_values(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.arithmetic.embed import Embed

    x = rng.integers(0, 7, shape).astype(np.float32)
    layer = Embed(7, 5)
    layer.build(shape)
    table, bias = draw(rng, 7, 5), draw(rng, 5)
    layer.set_weights([table, bias])
    want = np.empty((*shape, 5))
    for index in np.ndindex(shape):
        want[index] = table[int(x[index])] + bias
    check_layer(layer, want, x, tolerance=1e-6)
    check_precisions(layer, x)
    check_gradient(Embed(7, 5, dtype="float64"), rng, x, among=[])
    assert layer.compute_output_shape((None, 3)) == (None, 3, 5)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_indices_of_integer_types(dtype: str, rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.arithmetic.embed import Embed

    layer = Embed(7, 5)
    inputs = keras.Input((3,), dtype=dtype)
    model = keras.Model(inputs, layer(inputs))
    x = rng.integers(0, 7, (2, 3))
    assert np.array_equal(model(x.astype(dtype)), layer.embeddings.numpy()[x])


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_large_indices_in_mixed_precision(dtype: str) -> None:
    """2049 is no float16 number, and 257 no bfloat16 number."""
    from caffe2tf.runtime.arithmetic.embed import Embed

    layer = Embed(3000, 2, dtype=dtype)
    x = np.array([2049, 257, 2999], np.float32)
    have = np.asarray(layer(x), np.float32)
    np.testing.assert_allclose(have, layer.embeddings.numpy()[x.astype(int)], rtol=1e-2)
    assert layer(x).dtype.name == dtype.removeprefix("mixed_")
