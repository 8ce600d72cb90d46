"""Runs a library that may never return in a child process, with limits on time and memory.

libhdf5 follows addresses in a file. In a crafted file, a list or tree that contains itself makes it loop for ever, take
all memory, or crash. A check of the file beforehand would have to know every structure of the format. A forked child
needs to know none: it starts within milliseconds, because nothing is imported again, and the parent survives it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

from caffe2tf.errors import ParseError

__all__ = ["contained"]

_PIECE: Final = 1 << 20
_STARTUP: Final = 10.0  # seconds of real time that a busy machine may take in addition


def contained(work: Callable[[], Any], *, where: str, seconds: float, memory: int) -> Any:  # noqa: ANN401 - any JSON
    """Return what ``work()`` returns in a forked child process.

    On systems without fork (Windows), `work` runs in this process, without limits.

    Args:
        work: Returns anything that JSON can express.
        where: The file, for messages.
        seconds: Processor time that the child may take.
        memory: Bytes that the child may take in addition to what this process has.

    Raises:
        ParseError: `work` raised a ParseError, took more than the limits, or crashed.
    """
    if not hasattr(os, "fork"):
        return work()
    source, sink = os.pipe()
    with warnings.catch_warnings():
        # Python warns if there are threads. The child runs none of their code and needs none of their locks.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _run(work, sink, seconds, memory)
    os.close(sink)
    try:
        answer = _receive(source, time.monotonic() + 2 * seconds + _STARTUP)
    finally:
        os.close(source)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not answer.endswith(b"\n"):
        what = "HDF5 cannot read this within its limits of time and memory, or crashes on it"
        raise ParseError(f"{where}: {what}; copy or download the file again")
    kind, value = json.loads(answer)
    if kind == "error":
        raise ParseError(value)
    return value


def _run(work: Callable[[], Any], sink: int, seconds: float, memory: int) -> NoReturn:
    """Run in the child: write the result, or the message of a ParseError, as one line of JSON, and exit."""
    try:
        _limit(seconds, memory)
        try:
            answer = ("value", work())
        except ParseError as error:
            answer = ("error", str(error))
        line = json.dumps(answer).encode() + b"\n"
        while line:
            line = line[os.write(sink, line) :]
    finally:
        os._exit(0)  # neither cleans up nor reports what belongs to the parent


def _limit(seconds: float, memory: int) -> None:
    import resource  # noqa: PLC0415 - exists only where fork does

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # a crash writes to stderr
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    with suppress(OSError, ValueError):  # not all systems tell or limit the size of a process
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _receive(source: int, deadline: float) -> bytes:
    """Return everything that the child writes until it ends or the deadline passes."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    pieces = []
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        piece = os.read(source, _PIECE)
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)
