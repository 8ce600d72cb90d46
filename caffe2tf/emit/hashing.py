"""SHA-256 of files, in the background where there is something else to do meanwhile.

Hashing itself does not hold the interpreter lock, but every piece begins and ends with it, and may then have to wait
for a thread that computes in Python: pieces are large, so that there are few.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["HashJob", "TrailingHash", "hash_early", "hash_file"]

CHUNK = 2 << 20


def hash_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file as 64 hexadecimal digits; the file is streamed.

    It is read, not mapped: a file that another writes to meanwhile must not end the program.

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
    """Begins what a later `HashJob` of the same path will wait for: the command line does so while it still imports.

    A path that is no file, or cannot be looked at, is passed over; whoever needs the file will say so.
    """
    with suppress(OSError):
        if Path(path).is_file():
            _early[Path(path)] = _start(path)


_early: dict[Path, Future[str]] = {}


def _start(path: str | os.PathLike[str]) -> Future[str]:
    return _in_background(lambda: hash_file(path))


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
    """`hash_file` in a thread of its own, of a file that is not written to meanwhile."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        early = _early.pop(Path(path), None)
        self._future = _start(path) if early is None else early

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
