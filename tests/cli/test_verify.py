"""`caffe2tf verify`: numbers for every blob, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.builders import write_caffemodel, write_prototxt
from tests.cli.command import Outcome, caffe2tf


def verify(digits: Path, tmp_path: Path, blobs: dict[str, np.ndarray], *more: object) -> Outcome:
    file = tmp_path / "blobs.npz"
    np.savez(file, **blobs)  # type: ignore[arg-type]
    done = caffe2tf("verify", digits / "deploy.prototxt", digits / "digits.caffemodel", "--reference", file, *more)
    assert "Traceback" not in done.err
    return done


def test_equal_blobs_exit_with_0(digits: Path, tmp_path: Path, blobs: dict[str, np.ndarray]) -> None:
    done = verify(digits, tmp_path, blobs)
    assert done.code == 0, done.out
    lines = done.out.splitlines()
    order = [line.split()[1] for line in lines[1:-1]]
    assert order == [b for b in blobs if b != "data"]
    assert all(
        line.split()[2:] == ["x".join(map(str, blobs[b].shape)), "0", "0", "same"]
        for b, line in zip(order, lines[1:], strict=False)
    )
    assert lines[-1].startswith(f"{len(order)} of {len(order)} blobs are the same")


def test_the_first_layer_that_differs_is_named_first(
    digits: Path, tmp_path: Path, blobs: dict[str, np.ndarray]
) -> None:
    wrong = dict(reversed(blobs.items()))  # the order of the file must not matter
    wrong["pool2"] = blobs["pool2"] * np.float32(1.01)
    wrong["fc4"] = blobs["fc4"] + 1
    done = verify(digits, tmp_path, wrong)
    assert done.code == 1
    assert done.out.startswith(
        "DIFFERS first at layer 'pool2', blob 'pool2': relative L2 difference 0.0099 exceeds 1e-05\n"
    )
    assert "DIFFERS" not in next(line for line in done.out.splitlines()[1:] if line.split()[1] == "fc3")
    assert sum("DIFFERS" in line for line in done.out.splitlines()[1:]) == 2


def test_json(digits: Path, tmp_path: Path, blobs: dict[str, np.ndarray]) -> None:
    done = verify(
        digits, tmp_path, {k: v for k, v in blobs.items() if k != "norm1"} | {"fc4": blobs["fc4"] * 2}, "--json"
    )
    said = json.loads(done.out)
    assert done.code == 1
    assert said["same"] is False
    assert said["first_difference"]["layer"] == "fc4"
    assert said["not_in_reference"] == ["norm1"]
    one = next(b for b in said["blobs"] if b["blob"] == "fc4")
    assert one["max_abs"] == pytest.approx(float(np.abs(blobs["fc4"]).max()), rel=1e-5)
    assert one["relative_l2"] == pytest.approx(0.5, rel=1e-5)


def test_json_of_a_difference_without_a_number(digits: Path, tmp_path: Path, blobs: dict[str, np.ndarray]) -> None:
    """Squares of such values overflow, and their quotients are NaN, which JSON cannot express."""
    odd = {"fc4": np.where(blobs["fc4"] > 0, 1e308, blobs["fc4"].astype("f8")), "prob": np.full((3, 10), np.nan)}
    done = verify(digits, tmp_path, blobs | odd, "--json")
    assert (done.code, done.err) == (1, "")
    said = json.loads(done.out, parse_constant=pytest.fail)
    assert [b["blob"] for b in said["blobs"] if not b["same"]] == ["fc4", "prob"]


def test_a_blob_without_finite_values(tmp_path: Path) -> None:
    net = write_prototxt(
        tmp_path,
        'input: "x" input_shape { dim: 2 dim: 3 }'
        'layer { name: "p" type: "Power" bottom: "x" top: "y" power_param { scale: -1 } }',
    )
    weights = write_caffemodel(tmp_path, {"none": [[1.0]]})
    reference = tmp_path / "blobs.npz"

    def outcome(y: float) -> Outcome:
        np.savez(reference, x=np.full((2, 3), np.inf), y=np.full((2, 3), y))
        return caffe2tf("verify", net, weights, "--reference", reference)

    done = outcome(-np.inf)
    assert done.code == 0, done.out + done.err
    line = done.out.splitlines()[1].split(maxsplit=5)
    assert line == ["p", "y", "2x3", "-", "-", "same: the blob has no finite value to compare"]
    for other in (np.inf, np.nan):
        done = outcome(other)
        assert done.code == 1
        assert f"non-finite values differ (6 of 6): -inf, the reference has {other}" in done.out


def test_a_wider_tolerance(digits: Path, tmp_path: Path, blobs: dict[str, np.ndarray]) -> None:
    near = blobs | {"fc4": blobs["fc4"] * np.float32(1.001)}
    assert verify(digits, tmp_path, near).code == 1
    assert verify(digits, tmp_path, near, "--relative", "0.01").code == 1  # the peak is still too far
    assert verify(digits, tmp_path, near, "--relative", "0.01", "--peak", "0.01").code == 0


@pytest.mark.parametrize("bound", ["nan", "inf", "-1"])
def test_a_tolerance_that_accepts_everything_is_refused(
    digits: Path, tmp_path: Path, blobs: dict[str, np.ndarray], bound: str
) -> None:
    assert verify(digits, tmp_path, blobs, f"--relative={bound}").code == 2
    assert verify(digits, tmp_path, blobs, f"--peak={bound}").code == 2


def test_a_reference_blob_that_the_network_lacks_differs(
    digits: Path, tmp_path: Path, blobs: dict[str, np.ndarray]
) -> None:
    done = verify(digits, tmp_path, blobs | {"pool9": np.ones(3)})
    assert done.code == 1
    assert "'pool9': the network has no such blob" in done.out


def test_an_empty_comparison_fails(digits: Path, tmp_path: Path, images: Path, blobs: dict[str, np.ndarray]) -> None:
    done = verify(digits, tmp_path, {"data": blobs["data"]})
    assert done.code == 2
    assert "nothing to compare" in done.err
    done = verify(digits, tmp_path, {"other": blobs["fc4"]}, "--input", images)
    assert done.code == 2
    assert "conv1" in done.err
    assert "other" in done.err
    assert verify(digits, tmp_path, {}).code == 2


def test_references_that_do_not_match_the_network(digits: Path, tmp_path: Path, blobs: dict[str, np.ndarray]) -> None:
    done = verify(digits, tmp_path, {"fc4": blobs["fc4"]})
    assert done.code == 2
    assert "input 'data'" in done.err
    done = verify(digits, tmp_path, blobs | {"fc4": blobs["fc4"][:, :4]})
    assert done.code == 1
    assert "shape 3x10, the reference has 3x4" in done.out
    nan = blobs["fc4"].copy()
    nan[1, 2] = np.nan
    done = verify(digits, tmp_path, blobs | {"fc4": nan})
    assert done.code == 1
    assert "non-finite values are in other places (1 of 30)" in done.out
    assert verify(digits, tmp_path, blobs | {"fc4": np.array(["text"])}).code == 2
    assert verify(digits, tmp_path, blobs | {"fc4": blobs["fc4"][:0]}).code == 1


def test_an_unsupported_network(digits: Path, tmp_path: Path, blobs: dict[str, np.ndarray]) -> None:
    net = write_prototxt(tmp_path, (digits / "deploy.prototxt").read_text().replace('"LRN"', '"LRM"'))
    np.savez(tmp_path / "b.npz", **blobs)  # type: ignore[arg-type]
    done = caffe2tf("verify", net, digits / "digits.caffemodel", "--reference", tmp_path / "b.npz")
    assert done.code == 3
    assert "'LRM'" in done.err
