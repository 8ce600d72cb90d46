from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.layers.oracle import Array

F = np.float32


def draw(rng: np.random.Generator, rows: int, count: int) -> Array:
    corner = rng.uniform(0, 1, (rows, count, 2))
    return np.concatenate([corner, corner + rng.uniform(-0.1, 0.8, (rows, count, 2))], axis=2).astype(F)


def areas(corners: Array) -> Array:
    width, height = corners[..., 2] - corners[..., 0], corners[..., 3] - corners[..., 1]
    return np.where((width < 0) | (height < 0), F(0), width * height).astype(F)


def overlap(a: Array, b: Array, sizes: tuple[np.float32, np.float32]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else F(0)
    return float(shared / (sizes[0] + sizes[1] - shared)) if shared else 0.0


def kept(corners: Array, valid: Any, threshold: float, eta: float, *, inclusive: bool) -> list[bool]:  # noqa: ANN401 - an array of bools
    """Box by box."""
    sizes, limit = areas(corners), F(threshold)
    found: list[int] = []
    for i in range(len(corners)):
        worst = max((overlap(corners[k], corners[i], (sizes[k], sizes[i])) for k in found), default=-1.0)
        if valid[i] and not (worst >= limit if inclusive else worst > limit):
            found.append(i)
            limit = limit * F(eta) if limit > 0.5 else limit
    return [i in found for i in range(len(corners))]


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize(("threshold", "eta"), [(0.3, 1.0), (0.9, 0.7), (0.0, 1.0), (1.5, 0.5)])
def test_boxes_that_overlap_better_ones_are_removed(
    threshold: float, eta: float, inclusive: bool, rng: np.random.Generator
) -> None:
    from caffe2tf.runtime.detection.suppression import keep_best_boxes

    corners, valid = draw(rng, 5, 17), rng.uniform(size=(5, 17)) < 0.8
    have = keep_best_boxes(corners, areas(corners), valid, F(threshold), F(eta), inclusive=inclusive)
    want = [kept(c, v, threshold, eta, inclusive=inclusive) for c, v in zip(corners, valid, strict=True)]
    assert np.array_equal(have, want)


@pytest.mark.parametrize("inclusive", [False, True])
def test_an_overlap_equal_to_the_threshold(inclusive: bool) -> None:
    from caffe2tf.runtime.detection.suppression import keep_best_boxes

    corners = np.array([[[0, 0, 1, 2], [0, 0, 1, 1]]], F)
    have = keep_best_boxes(corners, areas(corners), np.ones((1, 2), bool), F(0.5), F(1), inclusive=inclusive)
    assert np.array_equal(have, [[True, not inclusive]])


@pytest.mark.parametrize("inclusive", [False, True])
def test_an_overlap_that_is_no_number(inclusive: bool) -> None:
    """Boxes of infinite area."""
    from caffe2tf.runtime.detection.suppression import keep_best_boxes

    corners = np.array([[[-np.inf, 0, np.inf, 1]] * 2], F)
    have = keep_best_boxes(
        corners, np.full((1, 2), np.inf, F), np.ones((1, 2), bool), F(0.5), F(1), inclusive=inclusive
    )
    assert np.array_equal(have, [[True, inclusive]])


def test_no_boxes() -> None:
    from caffe2tf.runtime.detection.suppression import keep_best_boxes

    nothing = np.zeros((3, 0), F)
    assert keep_best_boxes(np.zeros((3, 0, 4), F), nothing, nothing > 0, F(0.5), F(1)).shape == (3, 0)


def test_rows_or_one_for_each_image() -> None:
    import tensorflow as tf

    from caffe2tf.runtime.detection.suppression import rows_or_none

    rows = np.arange(14, dtype=F).reshape(2, 7)
    assert np.array_equal(rows_or_none(tf.constant(rows), 3), rows[None, None])
    want = [[[[n, *[-1] * 6] for n in range(3)]]]
    assert np.array_equal(rows_or_none(tf.constant(rows[:0]), 3), want)
