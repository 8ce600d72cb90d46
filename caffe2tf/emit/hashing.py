"""SHA-256 of files, in the background where there is something else to do meanwhile."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["HashJob", "TrailingHash", "hash_early", "hash_file"]

CHUNK = 1 << 20


def hash_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file as 64 hexadecimal digits; the file is streamed.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_early(path: str | os.PathLike[str]) -> None:
    """Begins what a later `HashJob` of the same path will wait for: the command line does so while it still imports.

    A path that is no file is passed over; whoever needs the file will say so.
    """
    if Path(path).is_file():
        _early[os.fspath(path)] = _start(path)


_early: dict[str, Future[str]] = {}


def _start(path: str | os.PathLike[str]) -> Future[str]:
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sha256")
    future = pool.submit(hash_file, path)
    pool.shutdown(wait=False)  # takes nothing more; the thread ends with its one task
    return future


class HashJob:
    """`hash_file` in a thread of its own; hashing does not hold the interpreter lock."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        name = os.fspath(path)
        self._future = _early.pop(name) if name in _early else _start(path)

    def result(self) -> str:
        """The digest, waited for if need be.

        Raises:
            OSError: the file cannot be read.
        """
        return self._future.result()


class TrailingHash:
    """SHA-256 of a file while it is written, in a thread that stays behind the writers; a context manager."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._settled = 0
        self._complete = self._given_up = False
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sha256")
        self._future = pool.submit(self._follow)
        pool.shutdown(wait=False)
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
        with self._path.open("rb", buffering=0) as file:
            while count := self._readable(file.tell()):
                data = file.read(count)
                if not data:
                    break
                digest.update(data)
        return digest.hexdigest()

    def _readable(self, start: int) -> int:
        """How many bytes may be read from ``start`` on, waited for; none when the digest is not wanted any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._given_up or self._complete or self._settled > start)
            if self._given_up:
                return 0
            return CHUNK if self._complete else min(CHUNK, self._settled - start)
