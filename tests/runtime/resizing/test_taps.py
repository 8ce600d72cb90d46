from __future__ import annotations

import numpy as np
import pytest

from tests.layers.oracle import assert_matches
from tests.runtime.layer_checks import draw


def test_taps_end_at_the_borders() -> None:
    from caffe2tf.runtime.resizing.taps import taps_around

    centres = np.array([-0.25, 1.5, 3.75], np.float32)
    indices, weights = taps_around(centres, 1, 5, lambda d: 2 - np.abs(d))
    assert indices.tolist() == [[0, 1, 1], [1, 2, 3], [3, 4, 4]]
    assert weights.tolist() == [[1.75, 0.75, 0], [1.5, 1.5, 0.5], [1.25, 1.75, 0]]


def test_the_nearest_value_is_rounded_away_from_0() -> None:
    from caffe2tf.runtime.resizing.taps import taps_around

    centres = np.array([0.5, 1.5, 2.25, -0.5], np.float32)
    indices, weights = taps_around(centres, 0, 4, np.ones_like)
    assert indices[:3].tolist() == [[1], [2], [2]]
    assert weights.tolist() == [[1], [1], [1], [0]], "the last one's nearest value is outside"


@pytest.mark.parametrize("axis", [1, 2])
def test_weighted_sums(axis: int, rng: np.random.Generator) -> None:
    from caffe2tf.runtime.resizing.taps import weigh_taps

    x = draw(rng, 2, 3, 4, 5)
    indices, weights = rng.integers(0, 3, (6, 2)), draw(rng, 6, 2)
    moved = np.moveaxis(x, axis, 0)
    want = [sum(w * moved[i] for i, w in zip(*row, strict=True)) for row in zip(indices, weights, strict=True)]
    assert_matches(weigh_taps(x, axis, (indices, weights)), np.moveaxis(np.array(want), 0, axis))
