"""Comparing one blob: shape, finiteness, closeness; comparing nothing is a failure."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caffe2tf import Tolerance, UsageError
from caffe2tf.verification import compare_blobs, read_reference
from tests.verification.digests import WRITERS, A, digest


def reason(ours: np.ndarray, reference: np.ndarray, tolerance: Tolerance | None = None) -> str:
    report = compare_blobs({"a": ours}, read_reference({"a": reference}), writers=WRITERS, tolerance=tolerance)
    (verdict,) = report.verdicts
    assert verdict.same == (not verdict.reason) == report.same
    return verdict.reason


def test_equal_and_nearly_equal_blobs_are_the_same() -> None:
    assert reason(A, A) == ""
    assert reason(A * np.float32(1 + 5e-6), A) == ""


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (A * np.float32(1.0001), "relative L2"),
        (-A, "relative L2"),
        (A.T, "shape 3x2, the reference has 2x3"),
        (A[None], "shape 1x2x3"),
        (A.reshape(-1), "shape 6"),
        (np.where(A == 5, np.nan, A), "non-finite"),
        (np.where(A == 5, np.inf, A), "non-finite"),
        (np.zeros_like(A), "relative L2"),
    ],
)
def test_differences_are_named(ours: np.ndarray, said: str) -> None:
    assert said in reason(ours.astype(np.float32), A)


def test_a_single_wrong_value_exceeds_the_peak_bound() -> None:
    want = np.ones(10**6, np.float32)
    ours = want.copy()
    ours[77] += 0.005
    assert "largest difference 0.005" in reason(ours, want)


def test_non_finite_in_the_same_places() -> None:
    want = np.where(A == 5, np.nan, A)
    assert reason(want, want) == ""
    assert "relative L2" in reason(want * 2, want)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities_equal_only_themselves(value: float) -> None:
    want = np.where(A == 5, value, A).astype("f4")
    assert reason(want, want) == ""
    for other in {np.nan, np.inf, -np.inf} - {value}:
        said = reason(np.where(A == 5, other, A).astype("f4"), want)
        assert said == f"non-finite values differ (1 of 6): {other}, the reference has {value}"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_blob_without_a_finite_value(value: float) -> None:
    want = np.full((2, 3), value, "f4")
    report = compare_blobs({"a": want}, read_reference({"a": want}), writers=WRITERS)
    (verdict,) = report.verdicts
    assert report.same
    assert (verdict.max_abs, verdict.relative_l2) == (None, None)
    assert verdict.note == "the blob has no finite value to compare"
    for other in {np.nan, np.inf, -np.inf} - {value}:
        assert "non-finite values differ (6 of 6)" in reason(np.full((2, 3), other, "f4"), want)
    mixed = np.where(A > 0, value, -value).astype("f4")
    assert reason(mixed, mixed) == ""


def test_values_close_to_the_limit_of_float64() -> None:
    """No warning of an overflow either: pytest is told to make errors of them."""
    huge = np.array([1e308, -1.7e308, 3.0])
    assert reason(huge, huge) == ""
    assert reason(huge * 0.99, huge) == "relative L2 difference 0.01 exceeds 1e-05"
    assert reason(-huge, huge) == "the largest difference exceeds float64"
    assert "the reference holds 1e+308, more than the largest float32" in reason(np.array([np.inf, 1, 3.0]), huge)
    assert "relative L2" in reason(np.array([3e38, 3e38, 3.0], "f4"), huge)
    longer = np.array([np.finfo(np.longdouble).max, 1])
    assert reason(np.array([1.0, 1], "f4"), longer)


def test_an_empty_reference_compares_nothing() -> None:
    assert "nothing to compare" in reason(A[:0], A[:0])


@pytest.mark.parametrize("bound", [math.nan, math.inf, -1e-9])
def test_a_tolerance_must_be_finite_and_not_negative(bound: float) -> None:
    with pytest.raises(UsageError, match="relative"):
        Tolerance(relative=bound)
    with pytest.raises(UsageError, match="peak"):
        Tolerance(peak=bound)


def test_a_digest_compares_its_values_and_the_norm() -> None:
    reference = read_reference(digest(A, [1, 5]))

    def same(ours: np.ndarray) -> bool:
        return compare_blobs({"a": ours}, reference, writers=WRITERS).same

    assert same(A)
    assert not same(np.where(A == -2, -2.001, A).astype("f4"))
    assert not same(np.where(A == 5, 5.1, A).astype("f4"))  # not among the places, but in the norm
    assert not same(np.where(A == 5, np.nan, A).astype("f4"))
    assert not same(A.T)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_norm_of_a_digest_shows_values_that_are_not_finite(value: float) -> None:
    odd = np.where(A == 5, value, A).astype("f4")
    reference = read_reference(digest(odd, [1, 5]))  # 5 is not among the places
    other = np.inf if np.isnan(value) else np.nan

    def same(ours: np.ndarray) -> bool:
        return compare_blobs({"a": ours.astype("f4")}, reference, writers=WRITERS).same

    assert same(odd)
    assert not same(A)
    assert not same(np.where(A == 5, other, A))


def test_a_digest_whose_norm_was_too_large_to_record() -> None:
    large = A * np.float32(2.0**100)
    parts = digest(large, [1, 5]) | {"a/l2": np.asarray(np.inf)}
    reference = read_reference(parts)

    def said(ours: np.ndarray) -> str:
        return compare_blobs({"a": ours}, reference, writers=WRITERS).verdicts[0].reason

    assert said(large) == ""
    assert (
        said(np.where(A == 5, A, large).astype("f4"))
        == f"peak {4 * 2.0**100:.8g}, the reference has {5 * 2.0**100:.8g}"
    )
    assert said(np.where(A == 5, np.nan, large).astype("f4")) == f"peak nan, the reference has {5 * 2.0**100:.8g}"


def test_the_digest_of_a_scalar() -> None:
    scalar = np.float32(-3)
    reference = read_reference(digest(np.asarray(scalar), [0]))
    assert compare_blobs({"a": np.asarray(scalar)}, reference, writers=WRITERS).same


def test_a_small_difference_is_excused_only_as_far_as_rounding_explains_it() -> None:
    tiny = A * np.float32(1e-8)

    def verdict(effect: float, ours: np.ndarray = -tiny) -> tuple[bool, str, str]:
        report = compare_blobs(
            {"a": ours}, read_reference({"a": tiny}), writers=WRITERS, rounding=lambda blob: {"a": effect}[blob]
        )
        return report.same, report.verdicts[0].reason, report.verdicts[0].note

    assert reason(-tiny, tiny) == "relative L2 difference 2 exceeds 1e-05"  # no absolute floor
    assert verdict(1e-9) == (False, "relative L2 difference 2 exceeds 1e-05", "")
    assert verdict(2e-8) == (True, "", "difference 1e-07 is rounding; rounding the inputs once gives 2e-08")
    assert not verdict(1e3, A * np.float32(1e-5))[0]  # too large to be excused, however sensitive the blob is
    assert not verdict(1e3, np.where(A == 5, np.nan, tiny).astype("f4"))[0]
