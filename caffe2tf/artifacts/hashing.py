"""SHA-256 of files, in background threads.

hashlib releases the interpreter lock while it hashes a piece, but needs the lock between pieces, and may then have to
wait for another thread. The pieces are therefore large.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["HashJob", "TrailingHash", "begin_hashing", "hash_file", "hash_jobs"]

CHUNK = 1 << 20  # bytes of a piece of a file that is read
MAPPED_CHUNK = 4 << 20  # bytes of a piece of a mapped file, and so the most memory that hashing takes


def hash_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits. The file is read piece by piece.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    with Path(path).open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def begin_hashing(path: str | os.PathLike[str]) -> None:
    """Begin to hash a file now; the next `hash_jobs` of the same path uses the result.

    A path that is not a file is ignored; the step that needs the file reports it.
    """
    with suppress(OSError):
        if Path(path).is_file():
            _early[Path(path)] = HashJob(path)


_early: dict[Path, HashJob] = {}


@contextmanager
def hash_jobs(paths: Iterable[Path]) -> Iterator[list[tuple[Path, HashJob]]]:
    """Hash files in the background: (path, job) of each. When the block ends, no file is read any more."""
    jobs = [(path, _early.pop(path) if path in _early else HashJob(path)) for path in paths]
    try:
        yield jobs
    finally:
        for _, job in jobs:
            job.give_up()


def _in_background(work: Callable[[], str]) -> Future[str]:
    """Run ``work`` in a daemon thread. The interpreter would wait at its end for the thread of an executor."""
    future: Future[str] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - `Future.result` raises it again
            future.set_exception(error)

    threading.Thread(target=run, name="sha256", daemon=True).start()
    return future


class HashJob:
    """The SHA-256 of a file, computed in a thread. The file must not change meanwhile.

    A large file is memory-mapped, which saves a copy and calls that wait for the interpreter lock. If a mapped file is
    truncated, the process crashes, so a job must end with the work that needs it (`give_up`).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._given_up = threading.Event()
        self._future = _in_background(self._hash)

    def result(self) -> str:
        """Return the digest; wait for it if necessary.

        Raises:
            OSError: the file cannot be read.
        """
        return self._future.result()

    def give_up(self) -> None:
        """End the thread, and wait until it has ended."""
        self._given_up.set()
        self._future.exception()

    def _hash(self) -> str:
        if self._path.stat().st_size <= CHUNK:
            return hash_file(self._path)
        digest = hashlib.sha256()
        with self._path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            for start in range(0, len(mapped), MAPPED_CHUNK):
                if self._given_up.is_set():
                    raise InterruptedError(f"{self._path}: hashing was given up")
                with memoryview(mapped)[start : start + MAPPED_CHUNK] as piece:
                    digest.update(piece)
                    size = len(piece)
                if hasattr(mmap, "MADV_DONTNEED"):
                    mapped.madvise(mmap.MADV_DONTNEED, start, size)
        return digest.hexdigest()


class TrailingHash:
    """The SHA-256 of a file that is being written: a context manager with a thread that follows the writers."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._settled = 0
        self._complete = self._given_up = False
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        self._future = _in_background(self._follow)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._given_up = True
            self._changed.notify()
        self._future.exception()  # waits for the thread to end

    def settle(self, offset: int) -> None:
        """Report that the bytes before ``offset`` do not change any more."""
        with self._changed:
            self._settled = max(self._settled, offset)
            self._changed.notify()

    def result(self) -> str:
        """Return the digest of the whole file, which does not change any more.

        Raises:
            OSError: the file cannot be read.
        """
        with self._changed:
            self._complete = True
            self._changed.notify()
        return self._future.result()

    def _follow(self) -> str:
        digest = hashlib.sha256()
        buffer = memoryview(bytearray(CHUNK))
        with self._path.open("rb", buffering=0) as file:
            while count := self._readable(file.tell()):
                read = file.readinto(buffer[:count])
                if not read:
                    break
                digest.update(buffer[:read])
        return digest.hexdigest()

    def _readable(self, start: int) -> int:
        """Wait until bytes from ``start`` on may be read; return how many, or 0 after a failure."""
        with self._changed:
            self._changed.wait_for(lambda: self._given_up or self._complete or self._settled > start)
            if self._given_up:
                return 0
            return CHUNK if self._complete else min(CHUNK, self._settled - start)
