"""Reports: the order of verdicts, and blobs that only one side has."""

from __future__ import annotations

import pytest

from caffe2tf import VerificationError
from caffe2tf.verification import compare_blobs, read_reference
from tests.verification.digests import WRITERS, A


def test_verdicts_are_in_network_order_with_unknown_blobs_last() -> None:
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


def test_a_recorded_input_that_the_network_lacks_is_a_difference() -> None:
    report = compare_blobs({"a": A}, read_reference({"a": A, "in/dta": A}), writers=WRITERS)
    assert [(v.blob, v.same) for v in report.verdicts] == [("a", True), ("dta", False)]


def test_copies_that_caffe_makes_are_ignored_and_listed() -> None:
    reference = read_reference({"a": A, "a_b_0_split_1": -A, "other_0_split_1": A})
    report = compare_blobs({"a": A}, reference, writers=WRITERS)
    assert report.ignored == ("a_b_0_split_1",)
    assert [(v.blob, v.same) for v in report.verdicts] == [("a", True), ("other_0_split_1", False)]
    assert report.as_dict()["ignored"] == ["a_b_0_split_1"]


def test_an_input_that_is_not_the_recorded_one_is_a_difference() -> None:
    ours = {"x": A, "y": A, "a": A}
    recorded = {"x": 2 * A, "in/y": 2 * A, "a": A}
    report = compare_blobs(ours, read_reference(recorded), writers=WRITERS | {"y": "relu"}, fed={"x": A, "y": A})
    assert [(v.blob, v.same) for v in report.verdicts] == [("x", False), ("y", False), ("a", True)]
    assert report.verdicts[0].reason == "the recorded input is not what was fed"


def test_the_final_value_of_an_input_need_not_be_what_was_fed() -> None:
    report = compare_blobs({"x": -A}, read_reference({"x": -A}), writers={"x": "relu"}, fed={"x": A})
    assert report.same
