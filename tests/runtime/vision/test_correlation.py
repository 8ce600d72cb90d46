from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient
from tests.runtime.layer_checks import check_layer, check_precisions, draw

SETTINGS: list[dict[str, Any]] = [
    {"kernel_size": 1, "max_displacement": 4, "pad": 4, "stride_2": 2},
    {"kernel_size": 1, "max_displacement": 2, "pad": 1, "stride_1": 2},
    {"kernel_size": 3, "max_displacement": 2, "pad": 3},
    {"kernel_size": 3, "max_displacement": 4, "pad": 4, "stride_1": 2, "stride_2": 2},
]


def correlated(
    a: Array,
    b: Array,
    *,
    kernel_size: int,
    max_displacement: int,
    pad: int = 0,
    stride_1: int = 1,
    stride_2: int = 1,
    correlation_type: str = "MULTIPLY",
    direction: int | None = None,
) -> Array:
    """A loop over positions and displacements; along the width only with a direction."""
    steps, far = max_displacement // stride_2, max_displacement + stride_2
    both = list(range(-steps, steps + 1))
    across = {None: both, 0: both, -1: list(range(-steps - 1, 0)), 1: list(range(steps + 1))}[direction]
    down, pad_y, most_y = (both, pad, max_displacement) if direction is None else ([0], 0, 0)
    height = math.ceil((a.shape[1] + 2 * (pad_y - most_y) - kernel_size + 1) / stride_1)
    width = math.ceil((a.shape[2] + 2 * (pad - max_displacement) - kernel_size + 1) / stride_1)
    around = [(0, 0), (pad_y + far, pad_y + far), (pad + far, pad + far), (0, 0)]
    a, b = np.pad(a, around), np.pad(b, around)
    out = np.zeros((a.shape[0], height, width, len(down) * len(across)))
    for n, y, x in np.ndindex(a.shape[0], height, width):
        top, left = far + y * stride_1 + most_y, far + x * stride_1 + max_displacement
        patch = a[n, top : top + kernel_size, left : left + kernel_size].astype(np.float64)
        for i, (dy, dx) in enumerate((dy, dx) for dy in down for dx in across):
            row, column = top + dy * stride_2, left + dx * stride_2
            other = b[n, row : row + kernel_size, column : column + kernel_size]
            out[n, y, x, i] = (np.abs(patch - other) if correlation_type == "SUBTRACT" else patch * other).mean()
    return out.astype(np.float32)


@pytest.mark.parametrize("kind", ["MULTIPLY", "SUBTRACT"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_values(settings: dict[str, Any], kind: str, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.vision.correlation import Correlation

    a, b = draw(rng, 2, 6, 7, 3), draw(rng, 2, 6, 7, 3)
    settings = {**settings, "correlation_type": kind}
    layer = Correlation(**settings)
    want = correlated(a, b, **settings)
    check_layer(layer, want, a, b, everywhere=settings["kernel_size"] == 3 and "stride_1" in settings)
    check_precisions(layer, a, b)
    assert layer.compute_output_shape([(None, 6, 7, 3)] * 2) == (None, *want.shape[1:])
    # An absolute difference has no gradient at 0: these are far from it.
    far = [np.sign(x) * rng.uniform(n, n + 1, x.shape) for n, x in ((1, a), (3, b))]
    check_gradient(Correlation(**settings, dtype="float64"), rng, *far)


@pytest.mark.parametrize("kind", ["MULTIPLY", "SUBTRACT"])
@pytest.mark.parametrize("direction", [-1, 0, 1])
def test_along_the_width_only(direction: int, kind: str, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.vision.correlation import Correlation1D

    a, b = draw(rng, 2, 4, 9, 3), draw(rng, 2, 4, 9, 3)
    settings = {"kernel_size": 3, "max_displacement": 4, "pad": 3, "stride_2": 2, "correlation_type": kind}
    layer = Correlation1D(**settings, single_direction=direction)  # type: ignore[arg-type]  # one type for all
    want = correlated(a, b, **settings, direction=direction)  # type: ignore[arg-type]
    check_layer(layer, want, a, b, everywhere=direction == -1)
    assert layer.compute_output_shape([(None, 4, 9, 3)] * 2) == (None, *want.shape[1:])


def test_values_that_are_not_finite_stay_in_their_patches(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.vision.correlation import Correlation

    a, b = draw(rng, 1, 5, 6, 2), draw(rng, 1, 5, 6, 2)
    b[0, 2, 4, 1] = np.nan
    have = np.asarray(Correlation(**SETTINGS[0])([a, b]))
    assert_matches(have, correlated(a, b, **SETTINGS[0]))
    assert 0 < np.isnan(have).sum() < have.size


@pytest.mark.parametrize("kind", ["MULTIPLY", "SUBTRACT"])
def test_extents_that_must_be_known(kind: str) -> None:
    import tensorflow as tf

    from caffe2tf.runtime.vision.correlation import Correlation

    layer = Correlation(1, 1, correlation_type=kind)
    assert layer.compute_output_shape([(None, None, 9, 3)] * 2) == (None, None, 7, 9)
    traced = tf.function(layer, input_signature=[[tf.TensorSpec((2, None, 9, 3))] * 2])
    x = np.ones((2, 7, 9, 3), np.float32)
    with pytest.raises(ValueError, match=r"height, width and channels must be known, not \(2, None, 9, 3\)"):
        traced([x, x])


def test_flownet_runs_in_reasonable_time(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.vision.correlation import Correlation

    made = Correlation(1, 20, pad=20, stride_2=2)
    a, b = draw(rng, 1, 48, 64, 256), draw(rng, 1, 48, 64, 256)
    made([a, b])
    start = time.perf_counter()
    have = np.asarray(made([a, b]))
    assert time.perf_counter() - start < 10  # 0.4 s on two idle cores
    assert have.shape == (1, 48, 64, 441)
    assert have[0, 7, 9, 3 * 21 + 8] == 0  # 14 rows up is outside
    assert_matches(have[0, 30, 40, 3 * 21 + 12], (a[0, 30, 40] * b[0, 30 - 14, 40 + 4]).mean())
