"""`caffe2tf run`: every blob as a line and as an array, and no file overwritten."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.builders import write_prototxt
from tests.cli.command import caffe2tf


def test_a_line_for_each_blob(digits: Path, tmp_path: Path, images: Path, blobs: dict[str, np.ndarray]) -> None:
    done = caffe2tf(
        "run", digits / "digits.caffemodel", "--input", images, "-o", tmp_path / "o.npz"
    )  # the weights inside the .caffemodel are used
    assert done.code == 0, done.err
    with np.load(tmp_path / "o.npz") as out:
        np.testing.assert_array_equal(out["prob"], blobs["prob"])
    line = next(line for line in done.out.splitlines() if line.startswith("fc4 "))
    fc4 = blobs["fc4"]
    assert line.split()[1:] == ["3x10", *(f"{v:.6g}" for v in (fc4.min(), fc4.max(), fc4.mean(dtype="f8")))]


def test_inputs_are_not_overwritten(digits: Path, tmp_path: Path, images: Path) -> None:
    net, weights, given = tmp_path / "net.prototxt", tmp_path / "w.caffemodel", images
    net.write_bytes((digits / "deploy.prototxt").read_bytes())
    weights.write_bytes((digits / "digits.caffemodel").read_bytes())
    (tmp_path / "link.npz").symlink_to(given)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for out in (net, weights, given, tmp_path / "link.npz"):
        done = caffe2tf("run", net, f"{digits / 'digits.caffemodel'},{weights}", "--input", given, "-o", out)
        assert (done.code, done.out) == (2, "")
        assert (
            done.err
            == f"caffe2tf: {out}: this file is read to make the result and would be overwritten; write elsewhere\n"
        )
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_values_without_a_mean(tmp_path: Path) -> None:
    """Also values whose sum overflows float32. A warning would fail the test."""
    net = write_prototxt(
        tmp_path, 'input: "x" input_shape { dim: 2 } layer { name: "r" type: "ReLU" bottom: "x" top: "y" }'
    )
    for x, mean in (([np.inf, -np.inf], "nan"), ([3e38, 2e38], "2.5e+38")):
        np.savez(tmp_path / "in.npz", x=np.array(x))
        done = caffe2tf("run", net, "--input", tmp_path / "in.npz", "-o", tmp_path / "out.npz")
        assert (done.code, done.err) == (0, "")
        assert done.out.splitlines()[1].split()[-1] == mean


def test_a_blob_name_that_npz_cannot_hold(tmp_path: Path) -> None:
    net = write_prototxt(
        tmp_path,
        f'input: "x" input_shape {{ dim: 2 }} layer {{ name: "r" type: "ReLU" bottom: "x" top: "{"y" * 65536}" }}',
    )
    np.savez(tmp_path / "in.npz", x=np.ones(2))
    done = caffe2tf("run", net, "--input", tmp_path / "in.npz", "-o", tmp_path / "out.npz")
    assert done.code == 2
    assert "is too long for an .npz file" in done.err
    assert len(done.err) < 1000


def test_an_empty_blob(tmp_path: Path) -> None:
    """An empty blob has no minimum."""
    net = write_prototxt(
        tmp_path,
        'input: "x" input_shape { dim: 3 dim: 2 dim: 1 dim: 1 } input: "s" input_shape { dim: 3 }'
        'layer { name: "f" type: "Filter" bottom: "x" bottom: "s" top: "y" }',
    )
    np.savez(tmp_path / "in.npz", x=np.ones((3, 2, 1, 1)), s=np.zeros(3))
    done = caffe2tf("run", net, "--input", tmp_path / "in.npz", "-o", tmp_path / "out.npz")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].split() == ["y", "0x2x1x1", "-", "-", "-"]
