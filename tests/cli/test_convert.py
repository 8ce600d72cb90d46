"""``caffe2tf convert``: its output and the files that it writes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import caffe2tf

FORMATS = ("h5", "npz", "npy", "weights.h5")

# Blocks the import of caffe2tf, runs the lines that `convert` printed, and saves the result.
DEPLOYED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "caffe2tf":
            raise ImportError("caffe2tf is not installed here")
sys.meta_path.insert(0, Blocked())
import numpy as np
data = np.load("images.npy")
exec(open("lines.txt").read())
np.save("prob.npy", prob)
assert not [m for m in sys.modules if m.partition(".")[0] == "caffe2tf"]
"""


@pytest.fixture(scope="module")
def recorded(digits: Path) -> tuple[np.ndarray, np.ndarray]:
    """Preprocessed images (N, H, W, C) of the digits network, and the probabilities that Caffe computed."""
    with np.load(digits / "test.npz") as file:
        images, prob = file["images"], file["caffe_prob"]
    mean = _mean(digits)
    x = (images.reshape(-1, 16, 16, 1).astype(np.float32) - mean.reshape(16, 16, 1)) / 128
    return x, prob


def _mean(digits: Path) -> np.ndarray:
    from caffe2tf.parse import read_mean

    return np.asarray(read_mean(digits / "mean.binaryproto"), np.float32)


def _lines(out: str) -> list[str]:
    """The three lines of Python at the end of the summary."""
    return out.rstrip("\n").split("\n")[-3:]


@pytest.mark.parametrize("weights_format", FORMATS)
def test_the_printed_lines_reproduce_caffes_output(
    digits: Path, tmp_path: Path, recorded: tuple[np.ndarray, np.ndarray], weights_format: str
) -> None:
    done = caffe2tf(
        "convert",
        digits / "deploy.prototxt",
        digits / "digits.caffemodel",
        "-o",
        tmp_path,
        "--weights-format",
        weights_format,
    )
    assert done.code == 0, done.err
    assert (tmp_path / f"digits.{weights_format}").is_file()
    images, prob = recorded
    names: dict[str, object] = {"data": images[:50]}
    path, modules = list(sys.path), set(sys.modules)
    try:
        exec("\n".join(_lines(done.out)), names)  # noqa: S102 - runs the lines as a user would paste them
    finally:
        sys.path[:] = path
        for name in {"digits", "caffe_layers"} - modules:
            sys.modules.pop(name, None)
    np.testing.assert_allclose(np.asarray(names["prob"]), prob[:50].reshape(50, -1), atol=1e-5)


def test_the_emitted_model_runs_without_caffe2tf(
    digits: Path, tmp_path: Path, recorded: tuple[np.ndarray, np.ndarray]
) -> None:
    out = tmp_path / "emitted"
    done = caffe2tf("convert", digits / "deploy.prototxt", digits / "digits.caffemodel", "-o", out)
    images, prob = recorded
    np.save(tmp_path / "images.npy", images[:20])
    (tmp_path / "lines.txt").write_text("\n".join(_lines(done.out)))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, "-I", "-c", DEPLOYED],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    np.testing.assert_allclose(np.load(tmp_path / "prob.npy"), prob[:20].reshape(20, -1), atol=1e-5)


def test_the_summary_shows_counts_and_digests(digits: Path, tmp_path: Path) -> None:
    done = caffe2tf("convert", digits / "deploy.prototxt", digits / "digits.caffemodel", "-o", tmp_path)
    assert done.out.startswith("13 layers, 21,138 parameters\n")
    files = sorted(p.name for p in tmp_path.iterdir())
    assert files == ["caffe_layers.py", "digits.h5", "digits.py"]
    for path in tmp_path.iterdir():
        line = next(line for line in done.out.splitlines() if line.startswith(f"{path} "))
        assert line.split()[1:] == [f"{path.stat().st_size:,}", hashlib.sha256(path.read_bytes()).hexdigest()]


def test_json_holds_the_summary(digits: Path, tmp_path: Path) -> None:
    done = caffe2tf("convert", digits / "deploy.prototxt", digits / "digits.caffemodel", "-o", tmp_path, "--json")
    said = json.loads(done.out)
    assert said["module"] == str(tmp_path / "digits.py")
    assert said["weights"] == str(tmp_path / "digits.h5")
    assert said["runtime_layers"] == str(tmp_path / "caffe_layers.py")
    assert said["inputs"] == {"data": [1, 16, 16, 1]}
    assert said["outputs"] == {"prob": [1, 10]}
    assert (said["layers"], said["parameters"]) == (13, 21138)
    assert said["sha256"] == {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.iterdir()}


def test_without_weights_only_the_structure_is_written(digits: Path, tmp_path: Path) -> None:
    done = caffe2tf("convert", digits / "deploy.prototxt", "-o", tmp_path)
    assert done.code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["caffe_layers.py", "digits.py"]
    assert _lines(done.out)[1] == "model = build()"


def test_a_caffemodel_alone_provides_structure_and_weights(digits: Path, tmp_path: Path) -> None:
    a, b = tmp_path / "both", tmp_path / "alone"
    caffe2tf("convert", digits / "deploy.prototxt", digits / "digits.caffemodel", "-o", a)
    done = caffe2tf("convert", digits / "digits.caffemodel", "-o", b, "--input-shape", "data=1,1,16,16")
    assert done.code == 0, done.err
    assert (b / "digits.h5").read_bytes() == (a / "digits.h5").read_bytes()


def test_the_last_of_several_weight_files_wins(digits: Path, tmp_path: Path) -> None:
    both = f"{digits / 'digits.caffemodel'},{digits / 'digits.caffemodel.h5'}"
    done = caffe2tf("convert", digits / "deploy.prototxt", both, "-o", tmp_path)
    assert done.code == 0, done.err
    assert "digits.caffemodel.h5 sha256:" in (tmp_path / "digits.py").read_text()


def test_input_shape_overrides_the_definition(digits: Path, tmp_path: Path) -> None:
    given = ("--input-shape", "data=3,1,16,16", "--json")
    done = caffe2tf("convert", digits / "deploy.prototxt", "-o", tmp_path, *given)
    assert json.loads(done.out)["inputs"] == {"data": [3, 16, 16, 1]}
