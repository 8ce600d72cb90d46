"""Axes and counts of shapes."""

from __future__ import annotations

import pytest

from caffe2tf.ir import canonical_axis, count, format_shape


@pytest.mark.parametrize(("axis", "rank", "expected"), [(0, 4, 0), (3, 4, 3), (-1, 4, 3), (-4, 4, 0), (-1, 1, 0)])
def test_axes_count_from_both_ends(axis: int, rank: int, expected: int) -> None:
    assert canonical_axis(axis, rank) == expected


@pytest.mark.parametrize(("axis", "rank"), [(4, 4), (-5, 4), (0, 0), (1, 1)])
def test_an_axis_that_is_not_there(axis: int, rank: int) -> None:
    with pytest.raises(ValueError, match=f"axis {axis} is out of range for a blob of {rank} axes"):
        canonical_axis(axis, rank)


def test_count() -> None:
    assert count((2, 3, 5)) == 30
    assert count(()) == 1
    assert count((2, None, 5)) is None


def test_for_a_person() -> None:
    assert format_shape((2, None, 5)) == "2x?x5"
    assert format_shape(()) == "scalar"
