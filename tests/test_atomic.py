"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from caffe2tf.atomic import atomic_writer, refuse_overwriting, whole_file, write_text, write_whole
from caffe2tf.errors import OutputError


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_pieces_come_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old and longer than what comes")
    write_whole(tmp_path / "file", [b"a", memoryview(b"bc"), b""])
    assert (tmp_path / "file").read_bytes() == b"abc"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, OSError])
def test_an_exception_in_the_block_changes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "file").write_text("old")

    def interrupted() -> None:
        with whole_file(tmp_path / "file", suffix=".weights.h5") as beside:
            beside.write_text("new")
            assert beside.parent == tmp_path
            assert beside.name.endswith(".weights.h5")
            raise error

    with pytest.raises((error, OutputError)):
        interrupted()
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_writer_that_wrote_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(OutputError, match="file"), whole_file(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "old"


def test_a_name_with_a_null_character(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the name contains a null character"):
        write_text(f"{tmp_path}/a\0b", "text")
    assert names(tmp_path) == []


def test_a_target_that_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    for target in (tmp_path / "file", tmp_path / "link", f"{tmp_path}/./file"):
        with pytest.raises(OutputError, match="this file is read"):
            refuse_overwriting(target, [tmp_path / "missing", "a\0b", str(tmp_path / "file")])
    refuse_overwriting(tmp_path / "missing", [tmp_path / "missing", tmp_path / "file"])
    refuse_overwriting(tmp_path / "file", [])


def test_targets_that_are_no_plain_files(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a directory"):
        write_text(tmp_path, "text")
    with pytest.raises(OutputError, match="does not exist; create it first"):
        write_text(tmp_path / "missing" / "file", "text")
    with pytest.raises(OutputError, match="name is too long"):
        write_text(tmp_path / ("x" * 300), "text")
    with pytest.raises(OutputError, match="not a regular file"):
        write_text(os.devnull, "text")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.EACCES, "no permission"), (errno.EROFS, "read-only"), (errno.EIO, os.strerror(errno.EIO))],
)
def test_other_refusals_of_the_system(tmp_path: Path, number: int, message: str) -> None:
    with pytest.raises(OutputError, match=message) as caught, atomic_writer(tmp_path / "file"):
        raise OSError(number, os.strerror(number))
    assert str(tmp_path / "file") in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="has other permissions")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_those_of_any_new_file(tmp_path: Path, mask: int, mode: int) -> None:
    old = os.umask(mask)
    try:
        write_text(tmp_path / "file", "text")
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    write_text(tmp_path / "link", "new: ä\n")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == "new: ä\n".encode()


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    with atomic_writer(tmp_path / "file") as one, atomic_writer(tmp_path / "file") as two:
        one.write(b"one")
        two.write(b"two")
    assert (tmp_path / "file").read_bytes() == b"one"  # the one that ended last
    assert names(tmp_path) == ["file"]


def test_free_space_that_cannot_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise OSError

    monkeypatch.setattr("shutil.disk_usage", fail)
    with pytest.raises(OutputError, match="no space left on the device;"), atomic_writer(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "full")
