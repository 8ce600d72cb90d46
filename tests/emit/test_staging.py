"""Files that appear together or not at all, and what of the files that lie there already is ours."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from caffe2tf.emit.runtime_source import extract_runtime, listed_classes
from caffe2tf.emit.staging import RUNTIME_FILE, Staging, has_own_stubs, runtime_for
from caffe2tf.errors import OutputError

NAMES = ("net.h5", "net.py", RUNTIME_FILE)


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones, too; a folder with nothing in it ends in a slash."""
    paths = sorted(folder.rglob("*"))
    return {
        str(p.relative_to(folder)) + "/" * p.is_dir(): p.read_text() if p.is_file() else ""
        for p in paths
        if p.is_file() or not any(p.iterdir())
    }


def visible(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def write(staging: Staging, *names: str) -> None:
    for name in names:
        staging.path(name).write_text(f"new {name}")


def give_up(out: str | Path, error: BaseException, *names: str) -> None:
    with Staging(out) as staging:
        write(staging, *names)
        raise error


def test_nothing_is_to_be_seen_before_all_is(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("old")
    (tmp_path / "mine").write_text("kept")
    before = contents(tmp_path)
    with Staging(tmp_path) as staging:
        write(staging, *NAMES)
        assert visible(tmp_path) == ["mine", "net.py"]
        assert (tmp_path / "net.py").read_text() == "old"
        digests = staging.commit({"net.h5": "known already"})
        assert visible(tmp_path) == sorted(["mine", *NAMES])
    assert contents(tmp_path) == before | {name: f"new {name}" for name in NAMES}
    assert digests == {"net.h5": "known already"} | {
        name: hashlib.sha256(f"new {name}".encode()).hexdigest() for name in NAMES[1:]
    }


@pytest.mark.parametrize("error", [OutputError("full"), ValueError("a mistake"), KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("there", ["", "out", "out/deep"])
def test_whatever_ends_it_all_is_as_it_was(tmp_path: Path, error: BaseException, there: str) -> None:
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    if there:
        (tmp_path / there / "net.py").write_text("old")
    before = contents(tmp_path)
    with pytest.raises(type(error)):
        give_up(tmp_path / "out" / "deep", error, *NAMES)
    assert contents(tmp_path) == before
    assert (tmp_path / "out").exists() == bool(there)


def test_a_folder_that_was_made_stays_where_something_else_came_into_it(tmp_path: Path) -> None:
    other = "../../../other"  # seen from the hidden folder
    with pytest.raises(KeyboardInterrupt):
        give_up(tmp_path / "a" / "b" / "c", KeyboardInterrupt(), "net.py", other)
    assert contents(tmp_path) == {"a/other": f"new {other}"}


def test_a_relative_folder_is_removed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        give_up("a/b", KeyboardInterrupt(), "net.py")
    assert contents(tmp_path) == {}
    with Staging("a/b") as staging:
        write(staging, "net.py")
        staging.commit({})
    assert contents(tmp_path) == {"a/b/net.py": "new net.py"}


def test_a_block_that_ends_without_a_commit_leaves_no_file(tmp_path: Path) -> None:
    with Staging(tmp_path) as staging:
        write(staging, "net.py")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("place", ["file", "file/below", "file/far/below"])
def test_a_place_where_no_folder_can_be(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError, match=f"{place}: the output folder cannot be written to: .*; choose another"):
        Staging(tmp_path / place).__enter__()
    assert contents(tmp_path) == {"file": "kept"}


def test_the_message_has_the_name_that_the_user_knows(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, Staging(tmp_path / "out") as staging:
        raise OutputError(f"{staging.path('net.h5')}: no space")
    assert str(caught.value) == f"{tmp_path / 'out' / 'net.h5'}: no space"


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "net.h5").mkdir()
    said = r"net\.h5: this is no file, and stands where one must be written"
    with Staging(tmp_path) as staging, pytest.raises(OutputError, match=said):
        write(staging, "net.py", "net.h5")
    assert contents(tmp_path) == {"net.h5/": ""}


# --- what lies there already ---


def test_stubs_that_were_worked_on_are_the_users(tmp_path: Path) -> None:
    path, source = tmp_path / "net_stubs.py", '"""STUBS, written by caffe2tf: the layers of net."""\n\nx = 1\n'
    assert not has_own_stubs(path, source)
    assert not has_own_stubs(tmp_path / "none" / "net_stubs.py", source)
    path.write_text(source)
    assert not has_own_stubs(path, source)
    path.write_text(source.replace("x = 1", "x = 2"))
    assert has_own_stubs(path, source)
    assert has_own_stubs(path, None)  # the network has no stubs any more
    path.write_text("# STUBS, and not of ours\n")
    with pytest.raises(OutputError, match=r"net_stubs\.py: this file holds no stubs of caffe2tf"):
        has_own_stubs(path, source)


def test_layers_of_the_other_networks_in_the_folder_are_kept(tmp_path: Path) -> None:
    path = tmp_path / RUNTIME_FILE
    assert runtime_for(path, ["LRN"]) == extract_runtime(["LRN"])
    path.write_text(extract_runtime(["MVN", "LRN"]))
    assert listed_classes(runtime_for(path, ["MaxPooling"])) == ["LRN", "MVN", "MaxPooling"]
    assert runtime_for(path, ["LRN"]) == path.read_text()


@pytest.mark.parametrize("text", ["", "class LRN: ...\n", "def f(:\n", '"""Layers:\n    LRN\n"""\n'])
def test_layers_that_are_not_of_our_making_are_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / RUNTIME_FILE).write_text(text)
    with pytest.raises(OutputError, match=rf"{RUNTIME_FILE}: this file was not written by caffe2tf; move it away"):
        runtime_for(tmp_path / RUNTIME_FILE, ["LRN"])


def test_layers_of_a_plugin_that_is_not_loaded_are_not_lost(tmp_path: Path) -> None:
    path = tmp_path / RUNTIME_FILE
    path.write_text(extract_runtime(["LRN", "MVN"]).replace("    LRN\n", "    Bending\n    LRN\n"))
    with pytest.raises(OutputError, match="another network in this folder needs Bending, which come from a plugin"):
        runtime_for(path, ["MVN"])


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(OutputError, match="what lies here cannot be read: Permission denied; choose another folder"):
        runtime_for(tmp_path / RUNTIME_FILE, ["LRN"])
