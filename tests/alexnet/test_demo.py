"""The demonstration, and that it reports differences."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from caffe2tf import alexnet
from caffe2tf.parse import read_mean
from scripts import demo


@pytest.fixture(autouse=True)
def _imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the emitted modules, which the demonstration imports by name as a user would."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in ("digits", "AlexNet", "caffe_layers"):
        sys.modules.pop(name, None)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=100)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_digits_network(console: Console, tmp_path: Path) -> None:
    assert demo.digits(console, tmp_path)
    assert "accuracy on 397 images" in printed(console)
    assert printed(console).count("0.9924") == 2
    assert printed(console).count("same") == 4
    assert sys.modules["digits"].__file__ == str(tmp_path / "digits.py")


@pytest.mark.parametrize("what", ["probability", "mean", "weights"])
def test_differences_of_the_digits_network_are_reported(
    what: str, console: Console, tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    for name in ("deploy.prototxt", "digits.caffemodel", "mean.binaryproto", "test.npz"):
        shutil.copyfile(digits / name, folder / name)
    monkeypatch.setattr(demo, "DIGITS", folder)
    if what == "probability":
        with np.load(folder / "test.npz") as file:
            arrays = dict(file)
        arrays["caffe_prob"][211, 3] += 2e-5
        np.savez(folder / "test.npz", **arrays)
    elif what == "mean":
        mean = read_mean(digits / "mean.binaryproto")
        monkeypatch.setattr(demo, "read_mean", lambda _: mean + 1)
    else:
        held = bytearray((folder / "digits.caffemodel").read_bytes())
        at = len(held) // 2 // 4 * 4
        held[at : at + 256] = held[at + 256 : at + 512]
        (folder / "digits.caffemodel").write_bytes(held)
    assert not demo.digits(console, tmp_path / "out")
    assert "DIFFERS" in printed(console)


def test_the_whole_demonstration(
    caffemodel: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(alexnet, "write_drawn_caffemodel", lambda path: path.symlink_to(caffemodel))
    assert demo.main(["--out", str(scratch / "made" / "here")]) == 0
    text = capsys.readouterr().out
    assert "14 of 14 blobs are the same" in text
    assert "Everything is the same as in Caffe." in text
    files = sorted(p.name for p in (scratch / "made" / "here").iterdir() if p.is_file())
    assert files == ["AlexNet.h5", "AlexNet.py", "caffe_layers.py", "digits.h5", "digits.py"]


def test_a_folder_that_cannot_be_created(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert demo.main(["--out", str(tmp_path / "file" / "out")]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


@pytest.mark.parametrize(("digits_same", "full_same"), [(True, False), (False, True)])
def test_any_difference_sets_the_exit_status(
    digits_same: bool,
    full_same: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo, "digits", lambda *_: digits_same)
    monkeypatch.setattr(demo, "full_size", lambda *_: full_same)
    assert demo.main(["--out", str(tmp_path)]) == 1
    assert "Something DIFFERS" in capsys.readouterr().out
