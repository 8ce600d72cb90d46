from __future__ import annotations

import numpy as np
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array
from tests.runtime.gradients import check_gradient


def best_of(values: Array, top_k: int) -> list[int]:
    """Indices of the largest values; of equal values the last comes first."""
    return sorted(range(len(values)), key=lambda i: (-values[i], -i))[:top_k]


def draw(rng: np.random.Generator, *shape: int) -> Array:
    """Values of which many are equal."""
    return np.round(2 * rng.standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize(("axis", "top_k"), [(0, 2), (1, 1), (2, 3), (3, 5)])
def test_along_an_axis(axis: int, top_k: int, values: bool, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.reduction.argmax import ArgMax

    x = draw(rng, 2, 3, 4, 5)
    rows = np.moveaxis(x, axis, -1)
    found = np.empty((*rows.shape[:-1], top_k), np.float32)
    for place in np.ndindex(rows.shape[:-1]):
        best = best_of(rows[place], top_k)
        found[place] = rows[place][best] if values else best
    made = ArgMax(axis, top_k, values=values)
    assert np.array_equal(made(x), np.moveaxis(found, -1, axis))
    if axis:
        check_saved(made, x)


@pytest.mark.parametrize("with_values", [False, True])
@pytest.mark.parametrize(("shape", "rank", "top_k"), [((2, 3, 4, 5), 4, 3), ((3, 7), 3, 1), ((2, 2, 3, 2, 2), 5, 24)])
def test_of_all_values_of_an_item(
    shape: tuple[int, ...], rank: int, top_k: int, with_values: bool, rng: np.random.Generator
) -> None:
    from caffe2tf.runtime.reduction.argmax import FlatArgMax

    x = draw(rng, *shape)
    want = []
    for item in x.reshape(len(x), -1):
        best = best_of(item, top_k)
        want.append([best, item[best]] if with_values else [best])
    made = FlatArgMax(rank, top_k, with_values=with_values)
    assert np.array_equal(made(x), np.array(want, np.float32).reshape(len(x), -1, top_k, *[1] * (rank - 3)))
    check_saved(made, x)


def test_static_shapes() -> None:
    from caffe2tf.runtime.reduction.argmax import ArgMax, FlatArgMax

    assert ArgMax(1, 2).compute_output_shape((None, 3, None)) == (None, 2, None)
    assert FlatArgMax(4, 2, with_values=True).compute_output_shape((None, 3, 4, 5)) == (None, 2, 2, 1)


def test_the_largest_values_have_gradients(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.reduction.argmax import ArgMax

    check_gradient(ArgMax(1, 2, values=True, dtype="float64"), rng, rng.standard_normal((2, 5, 3)))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_large_indices_under_mixed_precision(policy: str) -> None:
    import keras

    from caffe2tf.runtime.reduction.argmax import ArgMax, FlatArgMax

    x = np.zeros((2, 5000), np.float32)
    x[[0, 1], [4001, 257]] = 1
    for made in (ArgMax(1, dtype=policy), FlatArgMax(dtype=policy)):
        assert np.array_equal(np.reshape(made(x), -1), [4001, 257])
        assert made(keras.Input((5000,))).dtype == "float32"
    assert ArgMax(1, values=True, dtype=policy)(x).dtype == policy.removeprefix("mixed_")
