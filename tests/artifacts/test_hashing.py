"""Digests of files that are there, and of one that is still being written."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from caffe2tf.artifacts import hashing
from caffe2tf.artifacts.hashing import CHUNK, HashJob, TrailingHash, begin_hashing, hash_file, hash_jobs
from caffe2tf.conversion import convert
from caffe2tf.errors import Caffe2TFError

CONTENT = bytes(range(251)) * (3 * CHUNK // 251) + b"end"


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(CONTENT)
    assert hash_file(file) == HashJob(file).result() == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 64, 3 * 64, 3 * 64 + 5])
def test_pieces_of_a_file_that_is_read(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "CHUNK", 64)
    file = tmp_path / "f"
    file.write_bytes(CONTENT[:size])
    assert hash_file(file) == hashlib.sha256(CONTENT[:size]).hexdigest()


@pytest.mark.parametrize("size", [1, 3 * mmap.PAGESIZE, 3 * mmap.PAGESIZE + 5])
def test_pieces_of_a_file_that_is_mapped(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "CHUNK", 0)
    monkeypatch.setattr(hashing, "MAPPED_CHUNK", mmap.PAGESIZE)
    file = tmp_path / "f"
    file.write_bytes(CONTENT[:size])
    assert HashJob(file).result() == hashlib.sha256(CONTENT[:size]).hexdigest()


def test_a_file_that_is_cut_short_when_its_job_is_over_does_no_harm(tmp_path: Path) -> None:
    """As when a conversion has failed and its file is mended at once: were it mapped, this would end the process."""
    file = tmp_path / "f"
    for _ in range(20):
        file.write_bytes(CONTENT)
        with hash_jobs([file]) as jobs:
            pass
        file.write_bytes(b"")
        assert [path for path, _ in jobs] == [file]
        with contextlib.suppress(InterruptedError):  # unless it was quicker
            assert jobs[0][1].result() == hashlib.sha256(CONTENT).hexdigest()


def test_a_failed_conversion_leaves_no_file_mapped(tmp_path: Path) -> None:
    file = tmp_path / "net.prototxt"
    for _ in range(10):
        file.write_text('layer { name: "n" type: "Nothing" bottom: "x" top: "y" }\n' + "# filling\n" * 500_000)
        before = threading.enumerate()
        with pytest.raises(Caffe2TFError):
            convert(file, out=tmp_path / "out")
        assert [t for t in threading.enumerate() if t.name == "sha256" and t not in before] == []
        file.write_text("")


def test_a_digest_that_nobody_waits_for_does_not_keep_the_program_running(tmp_path: Path) -> None:
    """A pipe that nobody writes to stands in for a file that takes long."""
    os.mkfifo(tmp_path / "pipe")
    script = f"from caffe2tf.artifacts.hashing import HashJob; HashJob({str(tmp_path / 'pipe')!r})"
    done = subprocess.run([sys.executable, "-c", script], timeout=60, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_later_changes_of_unsettled_bytes_are_hashed(tmp_path: Path) -> None:
    file = tmp_path / "f"
    cut = CHUNK + 17
    file.write_bytes(CONTENT[:cut] + b"\0" * (len(CONTENT) - cut))
    with TrailingHash(file) as digest:
        digest.settle(cut)
        digest.settle(5)  # going back means nothing
        with file.open("r+b") as out:
            out.seek(cut)
            out.write(CONTENT[cut:])
        assert digest.result() == hashlib.sha256(CONTENT).hexdigest()


def test_it_waits_for_bytes_that_are_not_settled(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(CONTENT)
    with TrailingHash(file) as digest:
        digest.settle(2 * CHUNK)
        with pytest.raises(TimeoutError):
            digest._future.result(timeout=0.2)  # waits for the rest
        assert digest.result() == hashlib.sha256(CONTENT).hexdigest()


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with TrailingHash(tmp_path / "missing") as digest, pytest.raises(FileNotFoundError):
        digest.result()


def test_giving_up_ends_the_thread(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(CONTENT)
    with TrailingHash(file) as digest:
        digest.settle(7)
    assert digest._future.done()


@pytest.mark.parametrize("hashed", [hash_file, lambda path: HashJob(path).result()])
def test_a_known_digest_and_no_file(tmp_path: Path, hashed: Callable[[Path], str]) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert hashed(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(FileNotFoundError):
        hashed(tmp_path / "missing")


def test_a_digest_begun_early_is_the_one_that_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the path is written."""
    file = tmp_path / "f"
    file.write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    begin_hashing("./f")
    begin_hashing(tmp_path / "nowhere")
    early = hashing._early[Path("f")]
    with hash_jobs([Path("f")]) as jobs, hash_jobs([Path("f")]) as again:
        assert [job for _, job in jobs] == [early]
        assert [job for _, job in again] != [early]
        assert jobs[0][1].result() == again[0][1].result() == hash_file(file)
