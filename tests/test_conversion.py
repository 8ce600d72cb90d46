"""Converting twice, into one folder, and with something in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2tf
from caffe2tf.artifacts.code import layers as layers_writer
from caffe2tf.artifacts.code import module as module_writer
from caffe2tf.artifacts.weights.h5 import H5Writer
from caffe2tf.emit.runtime_source import listed_classes
from tests.builders import input_layers, write_caffemodel, write_prototxt
from tests.conftest import ROOT


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another network, which needs another runtime layer than the digits network."""
    return write_prototxt(
        tmp_path,
        input_layers({"d": (2, 3, 5, 7)}) + 'layer { name: "m" type: "MVN" bottom: "d" top: "m" }\n',
        "other.prototxt",
    )


@pytest.mark.parametrize("weights_format", ["h5", "npz", "npy"])
def test_twice_gives_identical_bytes_in_any_process(digits: Path, tmp_path: Path, weights_format: str) -> None:
    command = [sys.executable, "-m", "caffe2tf", "convert", "examples/digits/deploy.prototxt"]
    command += ["examples/digits/digits.caffemodel", "--weights-format", weights_format, "-o"]
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run(
            [*command, str(tmp_path / seed)], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL
        )
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert len(contents(tmp_path / "1")) == 3


def test_two_networks_in_one_folder_both_run(digits: Path, tmp_path: Path, other: Path) -> None:
    out = tmp_path / "out"
    first = caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", out)
    second = caffe2tf.convert(other, None, out)
    assert listed_classes((out / "caffe_layers.py").read_text()) == ["LRN", "MVN"]
    assert first.layers == second.layers
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype("f4")
    got = second.build().predict({"d": x}, verbose=0)["m"]
    np.testing.assert_allclose(got.mean(axis=(1, 2)), np.zeros((2, 3)), atol=1e-6)
    assert first.build().predict({"data": np.zeros((1, 16, 16, 1), "f4")}, verbose=0)["prob"].shape == (1, 10)


def test_again_into_the_same_folder_replaces(digits: Path, tmp_path: Path) -> None:
    caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", tmp_path)
    before = contents(tmp_path)
    (tmp_path / "digits.h5").write_bytes(b"old")
    caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["caffe_layers.py", "digits.py"])
@pytest.mark.parametrize("text", ["print('mine')\n", "def f(:\n", "", "\x00"])
def test_a_file_of_the_users_own_is_not_written_over(digits: Path, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(caffe2tf.OutputError, match=rf"{name}: this file was not written by caffe2tf"):
        caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", tmp_path)
    assert contents(tmp_path) == {name: text.encode()}


@pytest.mark.parametrize("name", ["caffe_layers.py", "digits.py", "digits.h5"])
def test_a_folder_where_a_file_must_be(digits: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(caffe2tf.OutputError, match=name):
        caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("failing", ["caffe_layers.py", "digits.py"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_at_any_file_leaves_the_folder_as_it_was(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    out = tmp_path / "out"
    caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", out, weights_format="npz")
    before = contents(out)
    from caffe2tf.atomic import write_text

    def write(path: Path, text: str) -> None:
        if path.name == failing:
            raise caffe2tf.OutputError(f"{path}: no space") if isinstance(error, OSError) else error
        write_text(path, text)

    for writer in (layers_writer, module_writer):
        monkeypatch.setattr(writer, "write_text", write)
    for folder in (out, tmp_path / "new" / "deep"):
        with pytest.raises((caffe2tf.OutputError, KeyboardInterrupt)) as caught:
            caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", folder)
        if isinstance(error, OSError):
            assert str(caught.value) == f"{folder / failing}: no space"  # not the hidden name
    assert contents(tmp_path) == {f"out/{k}": v for k, v in before.items()}
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), KeyboardInterrupt()])
@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("failing", ["digits.h5", "digits.py", "caffe_layers.py"])
def test_files_are_put_in_place_together_or_not_at_all(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException, links: bool
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", old)
    (old / "digits.py").write_text((old / "digits.py").read_text() + "# as it was\n")
    before = contents(old)
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if self.name == failing and self.parent.name.startswith(".caffe2tf-") and target.parent.name in ("old", "new"):
            raise error
        return replace(self, target)

    def no_links(self: Path, target: Path) -> None:
        raise FileNotFoundError if not target.exists() else PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "replace", refuse)
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    for folder in (old, new):
        with pytest.raises((caffe2tf.OutputError, KeyboardInterrupt)):
            caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", folder)
    assert contents(old) == before
    assert not new.exists()


def test_files_that_are_read_are_not_overwritten(digits: Path, tmp_path: Path) -> None:
    for name in ("deploy.prototxt", "digits.caffemodel.h5"):
        (tmp_path / name).write_bytes((digits / name).read_bytes())
    (tmp_path / "digits.caffemodel.h5").rename(tmp_path / "digits.h5")
    caffe2tf.convert(tmp_path / "deploy.prototxt", out=tmp_path)  # so that the folder is one of ours
    before = contents(tmp_path)
    (tmp_path / "link").symlink_to(".")
    for out in (tmp_path, tmp_path / "link"):
        with pytest.raises(
            caffe2tf.OutputError, match=r"digits\.h5: this file is read to make the result and would be overwritten"
        ):
            caffe2tf.convert(tmp_path / "deploy.prototxt", tmp_path / "digits.h5", out)
    (tmp_path / "link").unlink()
    assert contents(tmp_path) == before


def test_weights_that_no_conversion_wrote_stay(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "digits.npz").write_text("mine")
    with pytest.raises(caffe2tf.OutputError, match=r"digits\.npz: .* digits\.py, which a conversion writes"):
        caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", tmp_path, weights_format="npz")
    assert contents(tmp_path) == {"digits.npz": b"mine"}


def test_layers_that_another_conversion_puts_there_meanwhile_stay(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two conversions into one folder at once: each finds the file of runtime layers as the other left it."""
    net = write_prototxt(
        tmp_path, input_layers({"d": (2, 3, 5, 7)}) + 'layer { name: "m" type: "MVN" bottom: "d" top: "m" }\n'
    )
    write = H5Writer.write

    def slowly(*given: Any) -> str:  # noqa: ANN401 - handed on
        monkeypatch.setattr(H5Writer, "write", write)
        caffe2tf.convert(net, out=tmp_path / "out")
        return write(*given)

    monkeypatch.setattr(H5Writer, "write", slowly)
    caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", tmp_path / "out")
    text = (tmp_path / "out" / "caffe_layers.py").read_text()
    assert "class LRN(" in text
    assert "class MVN(" in text


def test_a_conversion_that_cannot_put_a_file_in_place(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(caffe2tf.OutputError, match="ermission"):
        caffe2tf.convert(digits / "deploy.prototxt", None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_conversion_lists_its_artifacts(digits: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    done = caffe2tf.convert(
        digits / "deploy.prototxt", digits / "digits.caffemodel", tmp_path, progress=lambda a, b: steps.append((a, b))
    )
    assert done.module == tmp_path / "digits.py"
    assert done.layers == tmp_path / "caffe_layers.py"
    assert done.weights == tmp_path / "digits.h5"
    assert steps[-1] == (4 * 21138, 4 * 21138)
    assert [a for a, _ in steps] == sorted(a for a, _ in steps)
    assert "digits.caffemodel sha256:37a0f849" in done.module.read_text()


def test_a_network_called_like_a_module(tmp_path: Path) -> None:
    for name, module in (
        ("numpy", "numpy_net"),
        ("class", "class_"),
        ("9 lives", "blob_9_lives"),
        ("", "n"),
        ("é" * 300, "network"),
        ("x" * 300, "x" * 60),
    ):
        text = input_layers({"d": (2, 3)}) + 'layer { name: "t" type: "TanH" bottom: "d" top: "t" }'
        net = write_prototxt(tmp_path, f'name: "{name}"\n{text}', "n.prototxt")
        assert caffe2tf.convert(net, None, tmp_path / "out").module.stem == module


def test_keras_own_weight_file_of_a_network_with_same_shapes(tmp_path: Path) -> None:
    """Keras keeps these by class and position; the converter reads them again before it lets the file stand."""
    from tests.emit.networks import tangle

    text = tangle(np.random.default_rng(11))
    net = write_prototxt(tmp_path, text)
    rng = np.random.default_rng(2)
    names = [line.split('"')[1] for line in text.splitlines() if "InnerProduct" in line and '"w' not in line]
    shared = [line.split('"')[1] for line in text.splitlines() if '"w' in line]
    weights = write_caffemodel(tmp_path, {n: [rng.normal(size=(4, 4)), rng.normal(size=4)] for n in [*names, *shared]})
    built = [caffe2tf.convert(net, weights, tmp_path / f, weights_format=f).build() for f in ("h5", "weights.h5")]
    x = {i.name: rng.normal(size=(2, 4)).astype("f4") for i in built[0].inputs}
    a, b = (m.predict(x, verbose=0) for m in built)
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name])
