"""Hide what TensorFlow's native code logs while it starts.

TensorFlow logs messages about the hardware before it reads ``TF_CPP_MIN_LOG_LEVEL``. The command line and the scripts
hide them with `quiet_start`. Nothing is hidden when caffe2tf is used as a library.
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
_SEVERITIES = b"IWE"  # level 1 hides I, level 2 also W, level 3 also E
# The formats of Abseil and of TensorFlow, which name a C++ file, and two messages that come with such lines.
_LOG_LINE = re.compile(
    rb"(?:([IWEF])\d{4} [\d:.]+ +\d+ |\d{4}-\d\d-\d\d [\d:.]+: ([IWEF]) )\S+\.(?:cc|h):\d+\] "
    rb"|WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    rb"|To enable the following instructions: "
)
_asked: ContextVar[bool] = ContextVar("_asked", default=False)


@contextmanager
def quiet_start() -> Iterator[None]:
    """Make `starting_tensorflow` blocks inside this one quiet. The log level is 3 unless the user set one."""
    os.environ.setdefault(_LEVEL, "3")
    token = _asked.set(True)
    try:
        yield
    finally:
        _asked.reset(token)


@contextmanager
def starting_tensorflow() -> Iterator[bool]:
    """Wrap code that imports TensorFlow or runs it for the first time; yield whether the block is quiet.

    In a quiet block, everything that any thread writes to descriptor 2 is captured. When the block ends, the captured
    text is written out without the log lines that the level hides; if the block fails, all of it is written out.
    Python's own messages are delayed with the rest, unless ``sys.stderr`` has another descriptor, as in the command
    line.
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
    """Return the severities to hide; empty outside of `quiet_start`."""
    level = os.environ.get(_LEVEL, "")
    return _SEVERITIES[: int(level)] if _asked.get() and level.isdecimal() else b""


def _capture() -> tuple[IO[bytes], int] | None:
    """Redirect descriptor 2 to a temporary file; return the file and a copy of the descriptor, or None on failure."""
    from tempfile import TemporaryFile  # noqa: PLC0415 - only commands that run a model need it

    with suppress(OSError):
        os.fstat(2)  # raises if descriptor 2 is closed
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
    with suppress(AttributeError, OSError, ValueError):  # sys.stderr may be None or closed
        sys.stderr.flush()


def _is_hidden(line: bytes, hidden: bytes) -> bool:
    found = _LOG_LINE.match(line)
    if not found or not hidden:
        return False
    severity: bytes = found[1] or found[2] or hidden[:1]
    return severity in hidden
