"""Paths that are too long, unreadable, empty or not valid text produce one message and no traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.builders import write_prototxt
from tests.cli.command import caffe2tf
from tests.conftest import ROOT

DIGITS = ROOT / "examples" / "digits"
NET, TRAINED = DIGITS / "deploy.prototxt", DIGITS / "digits.caffemodel"
CAPABILITIES = "-dac_override,-dac_read_search"  # with these, root may enter any folder

# The arguments of each command: BAD stands for the faulty path, HERE for a valid folder.
READS = [
    ["inspect", "BAD"],
    ["inspect", NET, "BAD"],
    ["inspect", NET, "--plugin", "BAD"],
    ["convert", "BAD", "-o", "HERE"],
    ["convert", NET, "BAD", "-o", "HERE"],
    ["convert", NET, f"{TRAINED},BAD", "-o", "HERE"],
    ["convert", NET, "-o", "HERE", "--plugin", "BAD"],
    ["run", NET, "--input", "BAD", "-o", "HERE/blobs.npz"],
    ["verify", NET, TRAINED, "--reference", "BAD"],
    ["upgrade", "BAD", "-o", "HERE/net.prototxt"],
    ["alexnet", "--from", "BAD", "-o", "HERE/alexnet.npy"],
    ["alexnet", "BAD"],
    ["alexnet", "BAD", "--from", TRAINED],
]
WRITES = [
    ["convert", NET, "-o", "BAD"],
    ["run", NET, TRAINED, "--input", "HERE/in.npz", "-o", "BAD"],
    ["upgrade", NET, "-o", "BAD"],
]
COMMANDS = [*READS, *WRITES]


def named(arguments: Sequence[object]) -> str:
    return "-".join(Path(str(a)).name for a in arguments)


def filled(arguments: Sequence[object], bad: object, here: Path) -> list[str]:
    return [str(a).replace("BAD", str(bad)).replace("HERE", str(here)) for a in arguments]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    np.savez(folder / "in.npz", data=np.ones((1, 1, 16, 16), np.float32))
    return folder


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder without search permission."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    yield folder
    folder.chmod(0o700)


@pytest.mark.parametrize("arguments", COMMANDS, ids=named)
def test_a_file_name_that_is_too_long(arguments: list[object], here: Path) -> None:
    name = here / f"{'x' * 300}.npy"
    done = caffe2tf(*filled(arguments, name, here))
    assert done.code == 2
    assert done.err.startswith(f"caffe2tf: {name}")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["inspect", NET, "--plugin", "BAD"], ["convert", "BAD", "-o", "HERE"], ["alexnet", "BAD"]], ids=named
)
def test_a_folder_without_permission(arguments: list[object], closed: Path, here: Path) -> None:
    as_others = ["setpriv", f"--bounding-set={CAPABILITIES}", f"--inh-caps={CAPABILITIES}"]
    if os.geteuid():
        as_others = []
    elif shutil.which("setpriv") is None:
        pytest.skip("root may search any folder, and there is no setpriv to become another")
    command = [*as_others, sys.executable, "-m", "caffe2tf", *filled(arguments, closed / "file.py", here)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"caffe2tf: {closed / 'file.py'}: ")
    assert "cannot be read: Permission denied" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_loop_of_links(here: Path) -> None:
    (here / "loop.py").symlink_to("loop.py")
    done = caffe2tf("inspect", NET, "--plugin", here / "loop.py")
    assert done.code == 2
    assert done.err.startswith(f"caffe2tf: {here / 'loop.py'}: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [*WRITES, ["alexnet", "--from", TRAINED, "-o", "BAD"], ["alexnet", "-o", "BAD"]], ids=named
)
def test_an_empty_name_does_not_mean_the_current_folder(
    arguments: list[object], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here)
    before = sorted(here.iterdir())
    done = caffe2tf(*filled(arguments, "", here))
    assert done.code == 2
    assert done.err == "caffe2tf: --out is empty: give a path; was a shell variable not set?\n"
    assert sorted(here.iterdir()) == before


def test_a_dot_means_the_current_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    assert caffe2tf("convert", NET, "-o", ".").code == 0
    assert (here / "digits.py").exists()


@pytest.mark.parametrize("arguments", [*WRITES, ["inspect", NET, "--plugin", "BAD"]], ids=named)
def test_a_deleted_current_folder(
    arguments: list[object], here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    done = caffe2tf(*filled(arguments, "x", here))
    monkeypatch.chdir(here)
    assert done.code == 2
    assert done.err.startswith("caffe2tf: x: ")
    assert done.err.count("\n") == 1


def test_a_stage_that_is_not_utf_8() -> None:
    done = caffe2tf("inspect", NET, "--stage", "deploy", "--stage", os.fsdecode(b"a\xff"))
    assert done.code == 2
    assert done.err == "caffe2tf: stage 'a\\udcff': use the name that the definition uses, which is text\n"


def test_a_mean_image_whose_name_is_too_long(here: Path) -> None:
    """The shape of the images stays unknown, as for a missing file."""
    net = write_prototxt(
        here,
        'layer { name: "data" type: "Data" top: "data" data_param { source: "s" batch_size: 2 } '
        f'transform_param {{ mean_file: "{"m" * 300}" }} }}',
    )
    done = caffe2tf("inspect", net)
    assert done.code == 2
    assert "--input-shape data=" in done.err
