"""Files that this package writes: whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from caffe2tf.errors import OutputError

__all__ = ["write_whole"]


def write_whole(path: str | os.PathLike[str], pieces: Iterable[bytes | memoryview]) -> None:
    """Writes `pieces` one after the other to a file beside `path` that then takes its place.

    When anything goes wrong, what lay at `path` is as it was. A link is followed.

    Raises:
        OutputError: The file cannot be written.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            raise OutputError(f"{path}: cannot be written: it is not a plain file; name another")
        temporary = target.with_name(f".caffe2tf-{secrets.token_hex(6)}.tmp")
        try:
            with temporary.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
            temporary.replace(target)
        finally:
            with suppress(OSError):
                temporary.unlink()  # gone already when all went well
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"{path}: cannot be written: {reason}; choose another place") from None
