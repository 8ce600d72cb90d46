"""SHA-256 of files, in the background where there is something else to do meanwhile.

Hashing itself does not hold the interpreter lock, but every piece begins and ends with it, and may then have to wait
for a thread that computes in Python: pieces are large, so that there are few.
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

__all__ = ["HashJob", "TrailingHash", "hash_early", "hash_file", "hash_jobs"]

CHUNK = 1 << 20  # of a file that is read
MAPPED_CHUNK = 4 << 20  # of a file that is mapped, and so the most memory that it takes at once


def hash_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file as 64 hexadecimal digits; the file is streamed.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    with Path(path).open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def hash_early(path: str | os.PathLike[str]) -> None:
    """Begins what a later `hash_jobs` of the same path will wait for: the command line does so while it still imports.

    A path that is no file, or cannot be looked at, is passed over; whoever needs the file will say so.
    """
    with suppress(OSError):
        if Path(path).is_file():
            _early[Path(path)] = HashJob(path)


_early: dict[Path, HashJob] = {}


@contextmanager
def hash_jobs(paths: Iterable[Path]) -> Iterator[list[tuple[str, HashJob]]]:
    """The (name, job) of each file, for as long as the block lasts: then nothing of them is read any more."""
    jobs = [(path.name, _early.pop(path) if path in _early else HashJob(path)) for path in paths]
    try:
        yield jobs
    finally:
        for _, job in jobs:
            job.give_up()


def _in_background(work: Callable[[], str]) -> Future[str]:
    """Not an executor's thread: the interpreter would wait for that one at its end, though nobody wants the result."""
    future: Future[str] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, name="sha256", daemon=True).start()
    return future


class HashJob:
    """`hash_file` in a thread of its own, of a file that is not written to meanwhile.

    A large file is mapped, as its reader does with weights: that spares a copy, and calls that wait for the lock. A
    file that is cut short while it is mapped ends the process, so that a job must not outlive what it is for.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._given_up = threading.Event()
        self._future = _in_background(self._hash)

    def result(self) -> str:
        """The digest, waited for if need be.

        Raises:
            OSError: the file cannot be read.
        """
        return self._future.result()

    def give_up(self) -> None:
        """Ends the thread, if it has not ended yet, and waits for that."""
        self._given_up.set()
        self._future.exception()

    def _hash(self) -> str:
        if self._path.stat().st_size <= CHUNK:
            return hash_file(self._path)
        digest = hashlib.sha256()
        with self._path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            for start in range(0, len(mapped), MAPPED_CHUNK):
                if self._given_up.is_set():
                    raise InterruptedError(f"{self._path}: its digest was given up")
                with memoryview(mapped)[start : start + MAPPED_CHUNK] as piece:
                    digest.update(piece)
                    size = len(piece)
                if hasattr(mmap, "MADV_DONTNEED"):
                    mapped.madvise(mmap.MADV_DONTNEED, start, size)
        return digest.hexdigest()


class TrailingHash:
    """SHA-256 of a file while it is written, in a thread that stays behind the writers; a context manager."""

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
        """What stands before ``offset`` does not change any more."""
        with self._changed:
            self._settled = max(self._settled, offset)
            self._changed.notify()

    def result(self) -> str:
        """The digest of the whole file, of which nothing changes any more.

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
        """How many bytes may be read from ``start`` on, waited for; none when the digest is not wanted any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._given_up or self._complete or self._settled > start)
            if self._given_up:
                return 0
            return CHUNK if self._complete else min(CHUNK, self._settled - start)
