from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw

NAMES = ["MaxPooling", "MaxPoolingWithMask", "AveragePooling", "AveragePoolingWithoutPadding", "StochasticPooling"]

# The layer's arguments, and what they mean for each of the two axes: window, stride, (before, after).
Axis = tuple[int, int, tuple[int, int]]
WINDOWS: list[tuple[dict[str, Any], tuple[Axis, Axis]]] = [
    ({"kernel_size": (3, 2), "stride": (2, 3)}, ((3, 2, (0, 0)), (2, 3, (0, 0)))),
    ({"kernel_size": (3, 2), "stride": 2, "round_mode": "FLOOR"}, ((3, 2, (0, 0)), (2, 2, (0, 0)))),
    ({"kernel_size": 3, "stride": 2, "pad": (1, 2)}, ((3, 2, (1, 1)), (3, 2, (2, 2)))),
    ({"kernel_size": 2, "stride": 2, "pad": 1}, ((2, 2, (1, 1)), (2, 2, (1, 1)))),
    ({"kernel_size": (3, 4), "pad": ((2, 0), (0, 1)), "round_mode": "FLOOR"}, ((3, 1, (2, 0)), (4, 1, (0, 1)))),
]


def starts(extent: int, axis: Axis, arguments: dict[str, Any]) -> list[int]:
    """Where the windows along an axis begin, by Caffe's rule."""
    kernel, stride, (before, after) = axis
    free = (extent + before + after - kernel) / stride
    count = (math.floor(free) if arguments.get("round_mode") == "FLOOR" else math.ceil(free)) + 1
    while arguments.get("clip", True) and arguments.get("pad") and (count - 1) * stride >= extent + before:
        count -= 1
    return [i * stride - before for i in range(count)]


def places(start: Sequence[int], axes: Sequence[Axis], extents: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The places of a window that lie within the input, row by row."""
    spans = zip(start, axes, extents, strict=True)
    return itertools.product(*(range(max(s, 0), min(s + k, n)) for s, (k, _, _), n in spans))


def pooled(x: Array, name: str, arguments: dict[str, Any], axes: Sequence[Axis]) -> list[npt.NDArray[np.float64]]:
    """A loop over windows, and the mask where there is one."""
    extents = x.shape[1:-1]
    grid = [starts(n, a, arguments) for n, a in zip(extents, axes, strict=True)]
    shape = (x.shape[0], *map(len, grid), x.shape[-1])
    out, mask = np.empty(shape), np.empty(shape)
    for index in np.ndindex(shape):
        start = [g[i] for g, i in zip(grid, index[1:-1], strict=True)]
        found = list(places(start, axes, extents))
        values = [float(x[(index[0], *p, index[-1])]) for p in found]
        if name.startswith("Max"):
            best = int(np.argmax(values))
            out[index], mask[index] = values[best], np.ravel_multi_index(found[best], extents)
        elif name == "StochasticPooling":
            out[index] = sum(v * v for v in values) / sum(values) if sum(values) > 0 else 0
        else:
            ends = [min(s + k, n + p[1]) - s for s, (k, _, p), n in zip(start, axes, extents, strict=True)]
            out[index] = sum(values) / (len(values) if name.endswith("WithoutPadding") else math.prod(ends))
    return [out, mask] if name == "MaxPoolingWithMask" else [out]


def made(name: str, arguments: dict[str, Any], **kwargs: object) -> Any:  # noqa: ANN401 - Keras has no types
    from caffe2tf.runtime.vision import pooling

    return getattr(pooling, name)(**arguments, **kwargs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("arguments", "axes"), WINDOWS, ids=[str(a) for a, _ in WINDOWS])
def test_values(name: str, arguments: dict[str, Any], axes: tuple[Axis, Axis], rng: np.random.Generator) -> None:
    x = draw(rng, 2, 5, 7, 3)
    if name == "StochasticPooling":  # a sum of values that cancel is no measure of precision
        x = np.abs(x)
    layer = made(name, arguments)
    want = pooled(x, name, arguments, axes)
    check_layer(layer, want, x, everywhere=arguments == WINDOWS[2][0])
    shape = layer.compute_output_shape((None, 5, 7, 3))
    assert (shape[0] if isinstance(shape, list) else shape) == (None, *want[0].shape[1:])
    if name != "MaxPoolingWithMask":
        check_precisions(layer, x)
        check_gradient(made(name, arguments, dtype="float64"), rng, x)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pad", [0, (1, 0)])
def test_unknown_extents(name: str, pad: Any, rng: np.random.Generator) -> None:  # noqa: ANN401 - two types
    import keras
    import tensorflow as tf

    arguments = {"kernel_size": (3, 2), "stride": (2, 3), "pad": pad}
    layer = made(name, arguments)
    symbolic = tf.nest.flatten(layer(keras.Input((None, None, 3))))
    assert all(tuple(s.shape) == (None, None, None, 3) for s in symbolic)
    traced = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 3))])
    before = pad if isinstance(pad, tuple) else (0, 0)
    for extents in ((5, 7), (6, 4)):
        x = draw(rng, 2, *extents, 3)
        want = pooled(x, name, arguments, [(3, 2, (before[0],) * 2), (2, 3, (before[1],) * 2)])
        for have, array in zip(tf.nest.flatten(traced(x)), want, strict=True):
            assert_matches(have, array, name)


@pytest.mark.parametrize("name", ["MaxPooling", "AveragePooling"])
def test_three_spatial_axes(name: str, rng: np.random.Generator) -> None:
    arguments = {"kernel_size": (2, 3, 1), "stride": (1, 2, 3), "pad": (1, 0, 0)}
    x = draw(rng, 2, 3, 5, 4, 2)
    want = pooled(x, name, arguments, [(2, 1, (1, 1)), (3, 2, (0, 0)), (1, 3, (0, 0))])
    check_layer(made(name, arguments), want, x)


def test_windows_beyond_the_input_that_are_kept(rng: np.random.Generator) -> None:
    x = draw(rng, 2, 5, 7, 3)
    arguments = {"kernel_size": 2, "stride": 2, "pad": 1, "clip": False}
    want = pooled(x, "AveragePooling", arguments, [(2, 2, (1, 1))] * 2)
    assert want[0].shape == (2, 4, 5, 3)
    assert not want[0][:, 3].any()
    check_layer(made("AveragePooling", arguments), want, x)


def test_a_mask_counts_from_the_input_and_ignores_padding() -> None:
    x = np.array([[-5, -3], [-2, -7]], np.float32).reshape(1, 2, 2, 1)
    top, mask = made("MaxPoolingWithMask", {"kernel_size": 2, "stride": 2, "pad": 1})(x)
    assert np.ravel(top).tolist() == [-5, -3, -2, -7]
    assert np.ravel(mask).tolist() == [0, 1, 2, 3]


def test_the_first_of_equal_values_is_in_the_mask() -> None:
    x = np.zeros((1, 3, 4, 1), np.float32)
    _, mask = made("MaxPoolingWithMask", {"kernel_size": 2, "stride": 2})(x)
    assert np.ravel(mask).tolist() == [0, 2, 8, 10]


def test_an_empty_window() -> None:
    x = np.full((1, 1, 1, 1), -4, np.float32)
    top, mask = made("MaxPoolingWithMask", {"kernel_size": 1, "stride": 1, "pad": ((0, 1), (0, 0)), "clip": False})(x)
    assert np.ravel(top).tolist() == [-4, np.finfo(np.float32).min]
    assert np.ravel(mask).tolist() == [0, -1]


def test_a_sum_that_is_not_positive_gives_0() -> None:
    x = np.array([-3, 1, 2, 3], np.float32).reshape(1, 2, 2, 1)
    layer = made("StochasticPooling", {"kernel_size": (2, 1)})
    assert np.ravel(layer(x)).tolist() == [0, 2.5]


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_a_mask_in_other_precisions(dtype: str) -> None:
    """Positions above 2048 are exact, which float16 would round."""
    import keras

    x = np.zeros((1, 65, 64, 1), np.float32)
    x[0, 32, 3], x[0, 64, 61] = 2, 3
    layer = made("MaxPoolingWithMask", {"kernel_size": 65, "stride": 1}, dtype=dtype)
    wide = np.concatenate([np.zeros_like(x[:, :, :1]), x], 2)
    top, mask = layer(wide)
    compute = dtype.removeprefix("mixed_")
    assert [t.dtype.name for t in (top, mask)] == [compute, "float64" if compute == "float64" else "float32"]
    assert np.ravel(mask).tolist() == [64 * 65 + 62]
    assert [s.dtype for s in layer(keras.Input((66, 65, 1)))] == [compute, mask.dtype.name]


def test_xla_compiles_the_layers(rng: np.random.Generator) -> None:
    import tensorflow as tf

    x = tf.constant(np.abs(draw(rng, 2, 5, 7, 3)))
    for name in NAMES:
        layer = made(name, {"kernel_size": 3, "stride": 2})
        assert layer.supports_jit is (name != "MaxPoolingWithMask")
        if layer.supports_jit:
            assert_matches(tf.function(layer, jit_compile=True)(x), layer(x), name)


@pytest.mark.parametrize("name", ["MaxPooling", "AveragePooling"])
def test_the_gradient_along_three_axes_outside_a_traced_function(name: str, rng: np.random.Generator) -> None:
    import tensorflow as tf

    x, layer = tf.constant(draw(rng, 2, 3, 5, 4, 2)), made(name, {"kernel_size": (2, 3, 1), "stride": (1, 2, 3)})
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x) ** 2)
    found = tape.gradient(total, x)
    traced = tf.function(lambda x: tf.gradients(tf.reduce_sum(layer(x) ** 2), x)[0])
    assert_matches(found, traced(x))
    assert np.any(found)
