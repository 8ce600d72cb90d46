"""When two blobs are the same: names, shape, finiteness, closeness; comparing nothing is a failure."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from caffe2tf import Tolerance, UsageError, VerificationError
from caffe2tf.errors import OutputError, ParseError
from caffe2tf.verification import compare_blobs, read_reference, write_arrays

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
        "l2": np.linalg.norm(flat),
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


@pytest.mark.parametrize(
    "change",
    [
        {"a/index": [1, 6]},
        {"a/index": [-1, 2]},
        {"a/index": [1]},
        {"a/index": [1.0, 2.0]},
        {"a/l2": [1.0, 2.0]},
        {"a/value": ["x", "y"]},
    ],
)
def test_a_digest_that_is_not_sound(change: dict[str, list[object]]) -> None:
    with pytest.raises(ParseError, match="digest of blob 'a'"):
        read_reference(digest(A, [1, 5]) | {k: np.asarray(v) for k, v in change.items()})


def test_prefixes_of_recordings() -> None:
    assert set(read_reference({"in/x": A, "out/y": A, "z": A}).blobs) == {"x", "y", "z"}


def test_arrays_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "o.npz"
    write_arrays(file, {"a/b": A, "file": A})
    with np.load(file) as back:
        assert sorted(back.files) == ["a/b", "file"]
    for bad in (tmp_path / "no" / "o.npz", tmp_path):
        with pytest.raises(OutputError, match=bad.name):
            write_arrays(bad, {"a": A})
    assert [p.name for p in tmp_path.iterdir()] == ["o.npz"]
