from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw

F = np.float32
SIZES = [(6, 9), (3, 4), (2, 11), (1, 1)]


def kernel(method: str, distance: float) -> float:
    d = abs(distance)
    if method == "LINEAR":
        return max(0.0, 1 - d)
    return 1.5 * d**3 - 2.5 * d**2 + 1 if d <= 1 else (-0.5 * d**3 + 2.5 * d**2 - 4 * d + 2) * (d < 2)


def nearest(at: float) -> int:
    return math.floor(at + 0.5) if at >= 0 else -math.floor(-at + 0.5)


def resampled(x: Array, size: tuple[int, int], method: str, *, antialias: bool) -> Array:
    """FlowNet's loop over the pixels around each pixel, in two dimensions."""
    items, height, width, channels = x.shape
    fy, fx = F(height) / F(size[0]), F(width) / F(size[1])
    ay, ax = (F(1) / f if antialias and max(fy, fx) > 1 else F(1) for f in (fy, fx))
    reach = 4 if method == "CUBIC" else 2
    ry, rx = (2 if f < 1 else math.ceil(F(reach) / a) for f, a in ((fy, ay), (fx, ax)))
    out = np.zeros((items, *size, channels))
    for i, j in np.ndindex(*size):
        y, z = F(i) * fy + fx / F(2) - F(0.5), F(j) * fx + fy / F(2) - F(0.5)
        row, column = nearest(float(y)), nearest(float(z))
        if method == "NEAREST":
            place = np.arange(channels) * height * width + row * width + column
            memory = x.transpose(0, 3, 1, 2).reshape(items, -1)
            out[:, i, j] = memory[:, np.minimum(place, memory.shape[1] - 1)]
            continue
        weights = 0.0
        for m in range(max(0, row - ry), min(height, row + ry + 1)):
            for n in range(max(0, column - rx), min(width, column + rx + 1)):
                weight = kernel(method, float(ay * (y - F(m)))) * kernel(method, float(ax * (z - F(n))))
                out[:, i, j] += weight * x[:, m, n]
                weights += weight
        out[:, i, j] = out[:, i, j] / weights if weights else 0
    return out.astype(np.float32)


@pytest.mark.parametrize("options", [{"method": "NEAREST"}, {}, {"method": "CUBIC"}, {"antialias": False}], ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_values(size: tuple[int, int], options: dict[str, Any], rng: np.random.Generator) -> None:
    from caffe2tf.runtime.resizing.resample import Resample

    x = draw(rng, 2, 5, 7, 2)
    layer = Resample(size, **options)
    want = resampled(x, size, options.get("method", "LINEAR"), antialias=options.get("antialias", True))
    check_layer(layer, want, x, everywhere=size == SIZES[1])
    assert layer.compute_output_shape((None, 5, 7, 2)) == (None, *size, 2)
    check_precisions(layer, x)
    if size in SIZES[:3]:
        check_gradient(Resample(size, **options, dtype="float64"), rng, x)


def test_where_no_pixel_has_weight_there_is_zero(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.resizing.resample import Resample

    x = np.abs(draw(rng, 1, 2, 2, 3)) + 1
    want = resampled(x, (1, 9), "LINEAR", antialias=True)
    assert (want == 0).any()
    assert (want != 0).any()
    assert_matches(Resample((1, 9))(x), want)


def test_values_that_are_not_finite_spread_only_within_a_window(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.resizing.resample import Resample

    x = draw(rng, 1, 9, 9, 1)
    x[0, 4, 4, 0] = np.nan
    assert 0 < np.isnan(Resample((18, 18))(x)).sum() <= 100


@pytest.mark.parametrize("method", ["NEAREST", "LINEAR"])
def test_extents_that_must_be_known(method: str) -> None:
    import tensorflow as tf

    from caffe2tf.runtime.resizing.resample import Resample

    traced = tf.function(Resample((2, 3), method), input_signature=[tf.TensorSpec((2, 7, None, 3))])
    with pytest.raises(ValueError, match=r"along the axes \(1, 2\) must be known, not \(2, 7, None, 3\)"):
        traced(np.ones((2, 7, 9, 3), np.float32))
