from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.layers.emitted import check_saved
from tests.layers.oracle import Array, assert_matches
from tests.runtime.gradients import check_gradient

SHAPE = (2, 3, 5, 4)


def draw(rng: np.random.Generator, count: int, shape: tuple[int, ...] = SHAPE) -> list[Array]:
    return [(1.5 * rng.standard_normal(shape)).astype(np.float32) for _ in range(count)]


def costs(arrays: list[Array], sigma: float) -> npt.NDArray[np.float64]:
    """Value by value."""
    found = np.empty(arrays[0].shape)
    for place in np.ndindex(found.shape):
        a, b, v, w = ([float(x[place]) for x in arrays] + [1.0, 1.0])[:4]
        d = v * (a - b)
        small = abs(d) < 1 / sigma**2
        found[place] = w * (0.5 * (sigma * d) ** 2 if small else abs(d) - 0.5 / sigma**2)
    return found


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("sigma", [1.0, 3.0, 0.4])
def test_weights_and_sigma(count: int, sigma: float, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.smooth_l1_loss import SmoothL1Loss

    arrays = draw(rng, count)
    assert_matches(SmoothL1Loss(sigma)(arrays), costs(arrays, sigma).sum() / 2)
    if sigma == 3:
        check_saved(SmoothL1Loss(sigma), *arrays)


@pytest.mark.parametrize(
    ("normalization", "channel_axis", "count"),
    [("BATCH_SIZE", -1, 2), ("FULL", -1, 30), ("FULL", 1, 40), ("FULL", None, 120), ("NONE", -1, 2.5)],
)
def test_normalization(normalization: str, channel_axis: int | None, count: float, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.smooth_l1_loss import SmoothL1Loss

    arrays = draw(rng, 2)
    made = SmoothL1Loss(1.0, normalization, channel_axis=channel_axis, divisor=2.5)
    assert_matches(made(arrays), costs(arrays, 1.0).sum() / count)
    check_saved(made, *arrays)


@pytest.mark.parametrize(("shape", "axis"), [(SHAPE, -1), (SHAPE, 1), ((2, 3, 5), -1), ((2, 3), -1), ((4,), None)])
def test_sums_over_the_channels(shape: tuple[int, ...], axis: int | None, rng: np.random.Generator) -> None:
    import keras

    from caffe2tf.runtime.loss.smooth_l1_loss import SmoothL1Loss

    arrays = draw(rng, 2, shape)
    made = SmoothL1Loss(normalization="NONE", channel_axis=axis, per_place=True)
    each = costs(arrays, 1.0)
    sums = each if axis is None else each.sum(axis)
    want = sums.reshape((shape[0], 1, *sums.shape[1:], 1, 1, 1)[:4])
    have = made(arrays)
    assert_matches(have[0], each.sum())
    assert_matches(have[1], want)
    assert made([keras.Input(batch_shape=shape)] * 2)[1].shape == want.shape
    check_saved(made, *arrays)


def test_inputs_whose_axes_of_extent_1_differ(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.smooth_l1_loss import SmoothL1Loss

    a, b = draw(rng, 2, (3, 8))
    assert_matches(SmoothL1Loss()([a, b.reshape(3, 8, 1, 1)]), costs([a, b], 1.0).sum() / 3)


def test_gradient(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.smooth_l1_loss import SmoothL1Loss

    check_gradient(SmoothL1Loss(2.0, "FULL", per_place=True, dtype="float64"), rng, *draw(rng, 4))


def test_mixed_precision(rng: np.random.Generator) -> None:
    from caffe2tf.runtime.loss.smooth_l1_loss import SmoothL1Loss

    arrays = [300 * a for a in draw(rng, 2)]
    made = SmoothL1Loss(normalization="NONE", divisor=1e-3, dtype="mixed_float16")
    assert_matches(made(arrays), SmoothL1Loss(normalization="NONE", divisor=1e-3)(arrays))
