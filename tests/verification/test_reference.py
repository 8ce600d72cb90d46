"""Reading references: arrays, digests and prefixes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from caffe2tf import VerificationError
from caffe2tf.errors import ParseError
from caffe2tf.verification import compare_blobs, read_reference
from tests.verification.digests import WRITERS, A, digest


def reason(ours: np.ndarray, reference: np.ndarray) -> str:
    report = compare_blobs({"a": ours}, read_reference({"a": reference}), writers=WRITERS)
    return report.verdicts[0].reason


def test_the_peak_of_integers_does_not_overflow() -> None:
    least = np.array([[-128, 0, 0]], np.int8)  # whose magnitude is no int8
    assert read_reference({"a": least}).blobs["a"].peak == 128
    assert reason(least.astype("f4"), least) == ""


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
def test_an_inconsistent_digest_is_refused(change: dict[str, list[object]]) -> None:
    with pytest.raises(ParseError, match="digest of blob 'a'"):
        read_reference(digest(A, [1, 5]) | {k: np.asarray(v) for k, v in change.items()})


def test_prefixes_tell_fed_values_from_final_ones() -> None:
    """What was fed is no blob to compare with, and comes before what a blob held in the end."""
    given = {"in/x": A, "out/x": -A, "in/y": A, "out/z": 2 * A, "p": A, "in/q": 3 * A, "q": A}
    reference = read_reference(given)
    blobs = {name: float(b.values[0]) for name, b in reference.blobs.items()}
    assert blobs == {"x": -1, "z": 2, "p": 1, "q": 1}
    fed = {name: float(a[0, 0]) for name, a in reference.arrays.items()}
    assert fed == {"x": 1, "y": 1, "z": 2, "p": 1, "q": 3}
    assert reference.fed == {"x", "y", "q"}
    assert set(read_reference({"in/x": A, "out/y": A, "z": A}).names) == {"x", "y", "z"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (digest(2 * A, [1, 5]), "holds blob 'a' both whole and as a digest"),
        ({"out/a": 2 * A}, "holds blob 'a' twice, as 'a' and as 'out/a'"),
    ],
)
def test_two_recordings_of_one_blob_are_refused(more: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(VerificationError, match=said):
        read_reference({"a": A} | more)


def test_errors_name_the_reference_file(tmp_path: Path) -> None:
    file = tmp_path / "r.npz"
    for arrays in ({"x": np.array(["text"])}, digest(A, [1, 5]) | {"a/shape": np.array([math.nan])}, {"in/x": A}, {}):
        np.savez(file, **arrays)
        with pytest.raises((ParseError, VerificationError), match=r"r\.npz: the reference"):
            read_reference(file)
