"""The table of artifact kinds, and that a new kind is one file and one line of the table."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import caffe2tf
from caffe2tf import alexnet
from caffe2tf.artifacts import KINDS, Job, Kind, Writer, kinds
from caffe2tf.emit import RUNTIME_MODULE
from caffe2tf.errors import OutputError, UsageError
from tests.cli.command import caffe2tf as command
from tests.conftest import ROOT

each_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])


@each_kind
def test_a_kind_has_a_writer_and_help(kind: Kind) -> None:
    assert isinstance(kind.load_writer(), Writer)
    assert re.fullmatch(r"[^.].{10,80}[^.]", kind.help)
    assert all(re.fullmatch(r"[._][a-z0-9._]+", suffix) for suffix in kind.suffixes)


def test_names_and_written_suffixes_are_unique() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    names = [kind.file_name or kind.suffix for kind in KINDS]
    assert len(set(names)) == len(names)


def test_the_first_kind_is_the_module() -> None:
    """`Conversion.module` and the check of what may be replaced rely on it."""
    assert KINDS[0].name == "module"


def test_the_layers_are_in_the_file_that_the_module_imports() -> None:
    assert kinds.find("layers").file_name == f"{RUNTIME_MODULE}.py"


def test_an_unknown_kind() -> None:
    with pytest.raises(KeyError, match="hdf5"):
        kinds.find("hdf5")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("net.h5", "h5"),
        ("net.hdf5", "h5"),
        ("net.weights.h5", "weights.h5"),
        ("net.npy", "npy"),
        ("a.npy.npz", "npz"),
        ("net.py", None),
        ("net", None),
        ("h5", None),
    ],
)
def test_the_longest_suffix_tells_the_kind(name: str, kind: str | None) -> None:
    found = kinds.kind_of_file(name)
    assert (found and found.name) == kind


def test_the_page_about_the_architecture_lists_every_kind() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| `([\w.<>]+)` \| ([^`|]+) \|$", text, re.MULTILINE)
    assert rows == [(kind.name, kind.file_name or f"<net>{kind.suffix}", kind.help) for kind in KINDS]


def test_the_page_about_weights_lists_every_format() -> None:
    text = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)`[^|]*\| `<net>([\w.]+)` \| (yes|no) \|", text, re.MULTILINE)
    words = {True: "yes", False: "no"}
    assert rows == [(kind.name, kind.suffix, words[kind.needs_tensorflow]) for kind in kinds.kinds_of("weights")]


def test_the_table_is_light() -> None:
    """The command line imports it before it parses its arguments, and hashes files before it imports NumPy."""
    script = "import sys; import caffe2tf.artifacts.kinds, caffe2tf.artifacts.hashing; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


# --- a new kind: what follows stands for the one file and the one line ---


class FolderWriter(Writer):
    """Writes a folder with a list of the weights, and one file more in a folder below."""

    def write(self, job: Job, target: Path) -> None:
        (target / "deep").mkdir(parents=True)
        (target / "weights.json").write_text(json.dumps({k: list(own) for k, own in job.weights.items()}))
        (target / "deep" / "module.txt").write_text(job.plan.module_name)


FOLDER = Kind(
    name="folder",
    suffixes=("_folder",),
    role="model",
    writer="tests_new_kind",
    folder=True,
    help="a fictitious artifact that is a folder",
)


@pytest.fixture
def new_kind(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kind]:
    module = ModuleType(FOLDER.writer)
    module.WRITER = FolderWriter()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, FOLDER.writer, module)
    monkeypatch.setattr(kinds, "KINDS", (*KINDS, FOLDER))
    yield FOLDER
    monkeypatch.undo()


def test_a_new_kind_is_converted_to(new_kind: Kind, digits: Path, tmp_path: Path) -> None:
    net = digits / "deploy.prototxt", digits / "digits.caffemodel", tmp_path
    done = caffe2tf.convert(*net, also=["folder", "npz", "folder"])
    assert [one.kind for one in done.artifacts] == ["module", "layers", "h5", "folder", "npz"]
    folder = done.artifacts[3]
    assert folder.path == tmp_path / "digits_folder"
    files = [folder.path / "deep" / "module.txt", folder.path / "weights.json"]
    assert dict(folder.files) == {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert json.loads(files[1].read_text()) == {name: ["kernel", "bias"] for name in ("conv1", "conv2", "fc3", "fc4")}
    assert (done.weights, done.stubs) == (tmp_path / "digits.h5", None)
    assert sorted(done.sha256) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    before = done.sha256
    assert caffe2tf.convert(*net, also=["npz", "folder"]).sha256 == before  # a folder of ours is replaced


def test_the_command_line_knows_a_new_kind(new_kind: Kind, digits: Path, tmp_path: Path) -> None:
    done = command("convert", digits / "deploy.prototxt", "-o", tmp_path, "--also", "folder", "--json")
    assert done.code == 0, done.err
    artifact = {"kind": "folder", "path": str(tmp_path / "digits_folder")}
    assert artifact in json.loads(done.out)["artifacts"]
    done = command("convert", digits / "deploy.prototxt", "-o", tmp_path, "--also", "other")
    assert (done.code, done.out) == (2, "")
    assert "--also 'other': choose one of h5, npz, npy, weights.h5, folder" in done.err


def test_a_folder_that_no_conversion_wrote_is_not_replaced(new_kind: Kind, digits: Path, tmp_path: Path) -> None:
    (tmp_path / "digits_folder").mkdir()
    with pytest.raises(OutputError, match=r"digits_folder: this exists, but digits\.py, .* does not"):
        caffe2tf.convert(digits / "deploy.prototxt", out=tmp_path, also=["folder"])
    assert [path.name for path in tmp_path.iterdir()] == ["digits_folder"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_writer_that_fails_leaves_the_folder_as_it_was(
    new_kind: Kind, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    out = tmp_path / "out"
    caffe2tf.convert(digits / "deploy.prototxt", out=out, also=["folder"])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(self: FolderWriter, job: Job, target: Path) -> None:
        (target / "deep").mkdir(parents=True)
        (target / "weights.json").write_text("half")
        raise OutputError(f"{target}: no space") if isinstance(error, OSError) else error

    monkeypatch.setattr(FolderWriter, "write", fail)
    for folder in (out, tmp_path / "new"):
        with pytest.raises((OutputError, KeyboardInterrupt)):
            caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", folder, also=["folder"])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_new_kind_of_weights_is_a_choice(
    monkeypatch: pytest.MonkeyPatch, new_kind: Kind, digits: Path, tmp_path: Path
) -> None:
    weights = dataclasses.replace(FOLDER, name="w", suffixes=(".w",), role="weights")
    monkeypatch.setattr(kinds, "KINDS", (*KINDS, weights))
    done = caffe2tf.convert(digits / "deploy.prototxt", digits / "digits.caffemodel", tmp_path, weights_format="w")
    assert done.weights == tmp_path / "digits.w"
    with pytest.raises(UsageError, match=r"ends in \.h5, \.npz or \.npy \(not \.weights\.h5 or \.w\)"):
        alexnet.regenerate(digits / "digits.caffemodel", tmp_path / "a.w")


def test_a_choice_that_is_none(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^also 'module': choose one of h5, npz, npy"):
        caffe2tf.convert(digits / "deploy.prototxt", out=tmp_path, also=["module"])
    assert list(tmp_path.iterdir()) == []
