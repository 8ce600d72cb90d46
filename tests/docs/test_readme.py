"""The README: its commands and code run, and what they print is what it shows."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from caffe2tf.cli.epilog import EXIT_STATUSES
from tests.cli.command import caffe2tf
from tests.conftest import ROOT
from tests.docs.markdown import blocks, broken_links
from tests.docs.running import check_page

README = (ROOT / "README.md").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class RecordedBlob:
    """A blob of the stand-in for pycaffe."""

    data: np.ndarray


class RecordedNet:
    """A stand-in for pycaffe's Net: its forward pass is that of the converted network."""

    def __init__(self, definition: str, weights: str, phase: int) -> None:
        assert phase == 1
        self.files = definition, weights
        self.blobs = {"data": RecordedBlob(np.zeros((1, 1, 16, 16), np.float32))}

    def forward(self) -> None:
        import caffe2tf as package

        found = package.run(*self.files, {"data": self.blobs["data"].data})
        self.blobs = {name: RecordedBlob(array) for name, array in found.items()}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the examples as the current folder, with a stand-in for pycaffe."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    caffe: Any = ModuleType("caffe")
    caffe.Net, caffe.TEST = RecordedNet, 1
    monkeypatch.setitem(sys.modules, "caffe", caffe)
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in {"digits", "caffe_layers"} - modules:
        sys.modules.pop(name, None)


def test_every_block_prints_what_is_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from caffe2tf.alexnet import write_drawn_caffemodel

    write_drawn_caffemodel(folder / "bvlc_alexnet.caffemodel")
    check_page(README, folder, monkeypatch)
    assert np.load("blobs.npz")["conv1"].shape == (1, 16, 16, 16)


def test_the_page_of_the_digits_example(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "examples" / "digits" / "README.md"
    check_page(page.read_text(encoding="utf-8"), folder, monkeypatch)


def test_the_two_scripts_exist_and_can_be_parsed() -> None:
    """They install packages, so they are not run here."""
    commands = [
        line.split("#")[0].split() for b in blocks(README) if b.language == "sh" for line in b.text.splitlines()
    ]
    scripts = [c[1] for c in commands if c[0] == "bash"]
    assert scripts == ["scripts/demo.sh", "scripts/test.sh"]
    for script in scripts:
        assert os.spawnlp(os.P_WAIT, "bash", "bash", "-n", str(ROOT / script)) == 0  # noqa: S606 - our own script


def test_the_table_of_exit_statuses_matches_the_help() -> None:
    rows = re.findall(r"^\| (\d) \| (.*) \|$", README, re.MULTILINE)
    assert {int(status): meaning for status, meaning in rows} == EXIT_STATUSES


def test_the_table_of_commands_matches_the_help() -> None:
    listed = caffe2tf("--help").out.partition("Commands:")[2]
    for name, purpose in re.findall(r"^\| `caffe2tf (\w+)[^|]*` \| (.*) \|$", README, re.MULTILINE):
        assert re.search(rf"^  {name} +{re.escape(purpose)}$", listed, re.MULTILINE), name


def test_the_requirements_match_setup_cfg() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    required = config["options"]["install_requires"]
    for package in ("TensorFlow", "Keras"):
        version = re.search(rf"^{package.lower()}>=([\d.]+)", required, re.MULTILINE)
        assert version is not None
        assert f"| {package} | {version[1]} or later |" in README
    pythons = re.findall(r"Python :: (3\.\d+)", config["metadata"]["classifiers"])
    assert f"| Python | {', '.join(pythons)} |" in README


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "examples/digits/README.md",
        "examples/custom_layer/README.md",
        *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
    ],
)
def test_links_lead_somewhere(page: str) -> None:
    assert broken_links(ROOT / page, ROOT) == []
    assert not re.search(r"(?<![\w.])/(?:work|home|root|tmp)/", (ROOT / page).read_text(encoding="utf-8"))
