"""Files and folders that appear in the output folder together, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from caffe2tf.artifacts.staging import Staging
from caffe2tf.errors import OutputError

NAMES = ("net.h5", "net.py", "caffe_layers.py")


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
    assert digests == {"net.h5": {"net.h5": "known already"}} | {
        name: {name: hashlib.sha256(f"new {name}".encode()).hexdigest()} for name in NAMES[1:]
    }


@pytest.mark.parametrize("error", [OutputError("full"), ValueError("a mistake"), KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("there", ["", "out", "out/deep"])
def test_any_failure_restores_the_folder(tmp_path: Path, error: BaseException, there: str) -> None:
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


def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "net.h5").mkdir()
    said = r"net\.h5: this is not a file, but a file must be written here"
    with Staging(tmp_path) as staging, pytest.raises(OutputError, match=said):
        write(staging, "net.py", "net.h5")
    assert contents(tmp_path) == {"net.h5/": ""}


def write_folder(staging: Staging, name: str) -> None:
    """A folder artifact with a file, a file in a folder, and an empty folder."""
    folder = staging.path(name, folder=True)
    (folder / "variables").mkdir(parents=True)
    (folder / "assets").mkdir()
    (folder / "saved.pb").write_text("new graph")
    (folder / "variables" / "data").write_text("new values")


def commit_all(out: Path) -> None:
    with Staging(out) as staging:
        write(staging, "net.h5")
        write_folder(staging, "net_saved")
        write(staging, "net.py")
        staging.commit({})


NEW_FOLDER = {"net_saved/saved.pb": "new graph", "net_saved/variables/data": "new values", "net_saved/assets/": ""}


def test_a_folder_has_a_digest_for_each_file(tmp_path: Path) -> None:
    with Staging(tmp_path / "out") as staging:
        write_folder(staging, "net_saved")
        digests = staging.commit({})
    assert contents(tmp_path / "out") == NEW_FOLDER
    files = {name: text for name, text in NEW_FOLDER.items() if not name.endswith("/")}
    assert digests == {"net_saved": {n: hashlib.sha256(text.encode()).hexdigest() for n, text in files.items()}}


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "net_saved" / "old").mkdir(parents=True)
    (tmp_path / "net_saved" / "old" / "file").write_text("old")
    with Staging(tmp_path) as staging:
        write_folder(staging, "net_saved")
        staging.commit({})
    assert contents(tmp_path) == NEW_FOLDER


def test_a_link_to_a_folder_is_replaced_and_not_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("kept")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "net_saved").symlink_to(tmp_path / "elsewhere")
    with Staging(tmp_path / "out") as staging:
        write_folder(staging, "net_saved")
        staging.commit({})
    assert contents(tmp_path / "out") == NEW_FOLDER
    assert contents(tmp_path / "elsewhere") == {"file": "kept"}


@pytest.mark.parametrize("there", ["nothing", "everything"])
@pytest.mark.parametrize("failing", ["net.h5", "net_saved", "net.py"])
@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), KeyboardInterrupt()])
def test_a_failure_at_each_step_of_a_commit_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, failing: str, there: str
) -> None:
    if there == "everything":
        (tmp_path / "net_saved" / "old").mkdir(parents=True)
        for name in ("net.h5", "net_saved/old/file", "net.py"):
            (tmp_path / name).write_text(f"old {name}")
    before = contents(tmp_path)
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if self.name == failing and target.parent == tmp_path:
            raise error
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        commit_all(tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("failing", ["net.h5", "net_saved", "net.py"])
def test_a_file_that_cannot_be_set_aside_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    (tmp_path / "net_saved").mkdir()
    for name in ("net.h5", "net_saved/file", "net.py"):
        (tmp_path / name).write_text(f"old {name}")
    before = contents(tmp_path)
    rename, link = Path.rename, Path.hardlink_to

    def refuse_rename(self: Path, target: Path) -> Path:
        if self == tmp_path / failing:
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    def refuse_link(self: Path, target: Path) -> None:
        if target == tmp_path / failing:
            raise PermissionError(1, "Operation not permitted")
        link(self, target)

    monkeypatch.setattr(Path, "rename", refuse_rename)
    monkeypatch.setattr(Path, "hardlink_to", refuse_link)
    with pytest.raises(OutputError, match=f"{failing}: cannot be replaced: Permission denied"):
        commit_all(tmp_path)
    assert contents(tmp_path) == before


def test_a_file_in_the_place_of_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "net_saved").write_text("mine")
    said = "net_saved: this is not a folder, but a folder must be written here; move it away"
    with Staging(tmp_path) as staging, pytest.raises(OutputError, match=said):
        write_folder(staging, "net_saved")
    assert contents(tmp_path) == {"net_saved": "mine"}
