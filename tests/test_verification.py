"""When two blobs are the same: names, shape, finiteness, closeness; comparing nothing is a failure."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from caffe2tf import Tolerance, UsageError, VerificationError
from caffe2tf.errors import ParseError
from caffe2tf.verification import compare_blobs, read_reference

A = np.array([[1.0, -2.0, 3.0], [-4.0, 5.0, 0.5]], np.float32)
WRITERS = {"a": "layer_a", "b": "layer_b"}


def reason(ours: np.ndarray, reference: np.ndarray, tolerance: Tolerance | None = None) -> str:
    report = compare_blobs({"a": ours}, read_reference({"a": reference}), writers=WRITERS, tolerance=tolerance)
    (verdict,) = report.verdicts
    assert verdict.same == (not verdict.reason) == report.same
    return verdict.reason


def digest(array: np.ndarray, index: list[int]) -> dict[str, np.ndarray]:
    flat = array.reshape(-1)
    parts = {
        "shape": array.shape,
        "index": index,
        "value": flat[index],
        "l2": np.linalg.norm(flat.astype("f8")),
        "absmax": abs(flat).max(),
    }
    return {f"a/{k}": np.asarray(v) for k, v in parts.items()}


def test_what_is_the_same() -> None:
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
def test_what_differs(ours: np.ndarray, said: str) -> None:
    assert said in reason(ours.astype(np.float32), A)


def test_one_value_of_many_is_seen_by_the_peak() -> None:
    want = np.ones(10**6, np.float32)
    ours = want.copy()
    ours[77] += 0.005
    assert "max abs 0.005" in reason(ours, want)


def test_non_finite_in_the_same_places() -> None:
    want = np.where(A == 5, np.nan, A)
    assert reason(want, want) == ""
    assert "relative L2" in reason(want * 2, want)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_equals_only_its_own_kind(value: float) -> None:
    want = np.where(A == 5, value, A).astype("f4")
    assert reason(want, want) == ""
    for other in {np.nan, np.inf, -np.inf} - {value}:
        said = reason(np.where(A == 5, other, A).astype("f4"), want)
        assert said == f"non-finite values are of another kind (1 of 6): {other}, the reference has {value}"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_blob_without_a_finite_value(value: float) -> None:
    want = np.full((2, 3), value, "f4")
    report = compare_blobs({"a": want}, read_reference({"a": want}), writers=WRITERS)
    (verdict,) = report.verdicts
    assert report.same
    assert (verdict.max_abs, verdict.relative_l2) == (None, None)
    assert verdict.note == "no finite value was there to compare"
    for other in {np.nan, np.inf, -np.inf} - {value}:
        assert "of another kind (6 of 6)" in reason(np.full((2, 3), other, "f4"), want)
    mixed = np.where(A > 0, value, -value).astype("f4")
    assert reason(mixed, mixed) == ""


def test_values_that_are_as_large_as_they_come() -> None:
    """No warning of an overflow either: pytest is told to make errors of them."""
    huge = np.array([1e308, -1.7e308, 3.0])
    assert reason(huge, huge) == ""
    assert reason(huge * 0.99, huge) == "relative L2 0.01 is over 1e-05"
    assert reason(-huge, huge) == "the greatest difference is more than float64 can hold"
    assert "the reference holds 1e+308, and networks compute in float32" in reason(np.array([np.inf, 1, 3.0]), huge)
    assert "relative L2" in reason(np.array([3e38, 3e38, 3.0], "f4"), huge)
    longer = np.array([np.finfo(np.longdouble).max, 1])
    assert reason(np.array([1.0, 1], "f4"), longer)


def test_the_peak_of_integers() -> None:
    least = np.array([[-128, 0, 0]], np.int8)  # whose magnitude is no int8
    assert read_reference({"a": least}).blobs["a"].peak == 128
    assert reason(least.astype("f4"), least) == ""


def test_an_empty_reference_compares_nothing() -> None:
    assert "nothing to compare" in reason(A[:0], A[:0])


@pytest.mark.parametrize("bound", [math.nan, math.inf, -1e-9])
def test_bounds_that_bound_nothing(bound: float) -> None:
    with pytest.raises(UsageError, match="relative"):
        Tolerance(relative=bound)
    with pytest.raises(UsageError, match="peak"):
        Tolerance(peak=bound)


def test_the_order_is_that_of_the_network_and_the_unknown_come_last() -> None:
    reference = read_reference({"zz": A, "b": A, "a": A, "a_b_0_split_1": A})
    report = compare_blobs({"a": A, "b": A + 1, "c": A}, reference, writers=WRITERS | {"c": "layer_c"})
    assert [(v.blob, v.same) for v in report.verdicts] == [("a", True), ("b", False), ("zz", False)]
    assert report.first_difference is not None
    assert report.first_difference.layer == "layer_b"
    assert report.unreferenced == ("c",)
    assert not report.same


def test_nothing_in_common() -> None:
    with pytest.raises(VerificationError, match="the network has the blobs a; the reference has q"):
        compare_blobs({"a": A}, read_reference({"q": A}), writers=WRITERS)
    with pytest.raises(VerificationError, match="nothing to compare"):
        compare_blobs({"in": A}, read_reference({"in": A}), writers={})  # inputs are not compared
    with pytest.raises(VerificationError, match="no blob"):
        read_reference({})


def test_a_digest_sees_its_places_and_the_norm_of_the_rest() -> None:
    reference = read_reference(digest(A, [1, 5]))

    def same(ours: np.ndarray) -> bool:
        return compare_blobs({"a": ours}, reference, writers=WRITERS).same

    assert same(A)
    assert not same(np.where(A == -2, -2.001, A).astype("f4"))
    assert not same(np.where(A == 5, 5.1, A).astype("f4"))  # not among the places, but in the norm
    assert not same(np.where(A == 5, np.nan, A).astype("f4"))
    assert not same(A.T)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_digest_tells_that_the_rest_is_not_finite(value: float) -> None:
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


@pytest.mark.parametrize(
    "change",
    [
        {"a/index": [1, 6]},
        {"a/index": [-1, 2]},
        {"a/index": [1]},
        {"a/index": [1.0, 2.0]},
        {"a/l2": [1.0, 2.0]},
        {"a/value": ["x", "y"]},
        {"a/shape": [math.nan, 1]},
        {"a/shape": [math.inf, 1]},
        {"a/shape": ["x"]},
        {"a/shape": [2.5, 3]},
        {"a/shape": [-2, -3]},
        {"a/l2": ["abc"]},
        {"a/l2": [1j]},
        {"a/absmax": ["abc"]},
    ],
)
def test_a_digest_that_is_not_sound(change: dict[str, list[object]]) -> None:
    with pytest.raises(ParseError, match="digest of blob 'a'"):
        read_reference(digest(A, [1, 5]) | {k: np.asarray(v) for k, v in change.items()})


def test_prefixes_of_recordings() -> None:
    """What was fed is no blob to compare with, and comes before what a blob held in the end."""
    given = {"in/x": A, "out/x": -A, "in/y": A, "out/z": 2 * A, "p": A, "in/q": 3 * A, "q": A, "r": A, "out/r": 4 * A}
    reference = read_reference(given)
    blobs = {name: float(b.values[0]) for name, b in reference.blobs.items()}
    assert blobs == {"x": -1, "z": 2, "p": 1, "q": 1, "r": 4}
    fed = {name: float(a[0, 0]) for name, a in reference.arrays.items()}
    assert fed == {"x": 1, "y": 1, "z": 2, "p": 1, "q": 3, "r": 1}
    assert set(read_reference({"in/x": A, "out/y": A, "z": A}).names) == {"x", "y", "z"}


def test_what_was_fed_to_a_network_that_has_no_such_input_is_a_difference() -> None:
    report = compare_blobs({"a": A}, read_reference({"a": A, "in/dta": A}), writers=WRITERS)
    assert [(v.blob, v.same) for v in report.verdicts] == [("a", True), ("dta", False)]


def test_a_file_that_is_no_reference_is_named(tmp_path: Path) -> None:
    file = tmp_path / "r.npz"
    for arrays in ({"x": np.array(["text"])}, digest(A, [1, 5]) | {"a/shape": np.array([math.nan])}, {"in/x": A}, {}):
        np.savez(file, **arrays)
        with pytest.raises((ParseError, VerificationError), match=r"r\.npz: the reference"):
            read_reference(file)
