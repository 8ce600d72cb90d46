"""What TensorFlow's native code prints while it starts, held to the level that the user asked for.

It tells of the machine's hardware before it has read ``TF_CPP_MIN_LOG_LEVEL``. Programs of ours ask for a
`quiet_start`; whoever uses caffe2tf from Python is left alone.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import IO

__all__ = ["quiet_start", "starting_tensorflow"]

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_SEVERITIES = b"IWE"  # in the order of the levels that hide them
# As Abseil writes it and as TensorFlow does, always from C++; and what comes with these lines.
_LOG_LINE = re.compile(
    rb"(?:([IWEF])\d{4} [\d:.]+ +\d+ |\d{4}-\d\d-\d\d [\d:.]+: ([IWEF]) )\S+\.(?:cc|h):\d+\] "
    rb"|WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    rb"|To enable the following instructions: "
)
_asked: ContextVar[bool] = ContextVar("_asked", default=False)


@contextmanager
def quiet_start() -> Iterator[None]:
    """Makes blocks of `starting_tensorflow` within this one quiet; the level is 3, where the user has set none."""
    os.environ.setdefault(_LEVEL, "3")
    token = _asked.set(True)
    try:
        yield
    finally:
        _asked.reset(token)


@contextmanager
def starting_tensorflow() -> Iterator[bool]:
    """A block that imports TensorFlow, or has it compute for the first time; gives whether it is quiet.

    If so, native log lines below the level are left out of what is written to descriptor 2 meanwhile, by whichever
    thread. The rest appears when the block ends, and all of it when the block fails. Python's own messages are held up
    no longer than that, and not at all where ``sys.stderr`` has another descriptor, as in the command line.
    """
    hidden = _hidden()
    captured = _capture() if hidden else None
    if captured is None:
        yield False
        return
    try:
        yield True
    except Exception:
        hidden = b""
        raise
    finally:
        _release(*captured, hidden)


def _hidden() -> bytes:
    """The severities that are not to be seen; none where nobody asked."""
    level = os.environ.get(_LEVEL, "")
    return _SEVERITIES[: int(level)] if _asked.get() and level.isdecimal() else b""


def _capture() -> tuple[IO[bytes], int] | None:
    """A file that takes what is written to descriptor 2, and where that led; None where there can be none."""
    from tempfile import TemporaryFile  # noqa: PLC0415 - for the few commands that run a model

    with suppress(OSError):
        os.fstat(2)  # it may be closed
        spool = TemporaryFile()  # noqa: SIM115 - closed by _release
        kept = os.dup(2)
        _flush()
        os.dup2(spool.fileno(), 2)
        return spool, kept
    return None


def _release(spool: IO[bytes], kept: int, hidden: bytes) -> None:
    _flush()
    os.dup2(kept, 2)
    os.close(kept)
    with spool, suppress(OSError), open(2, "wb", closefd=False) as stderr:
        spool.seek(0)
        stderr.writelines(line for line in spool if not _is_hidden(line, hidden))


def _flush() -> None:
    with suppress(AttributeError, OSError, ValueError):  # there may be no stream, or a closed one
        sys.stderr.flush()


def _is_hidden(line: bytes, hidden: bytes) -> bool:
    found = _LOG_LINE.match(line)
    if not found or not hidden:
        return False
    severity: bytes = found[1] or found[2] or hidden[:1]
    return severity in hidden
