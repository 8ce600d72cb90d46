"""Checks of files that are already in the output folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from caffe2tf.emit import is_emitted
from caffe2tf.errors import OutputError

__all__ = ["read_existing", "refuse_foreign", "refuse_unaccompanied"]


def refuse_foreign(module: Path) -> None:
    """Raise an error if ``module`` exists and no conversion wrote it.

    Raises:
        OutputError: the file belongs to the user.
    """
    text = read_existing(module)
    if text is not None and not is_emitted(text):
        raise OutputError(f"{module}: this file was not written by caffe2tf; move it away or choose another folder")


def refuse_unaccompanied(module: Path, others: Iterable[Path]) -> None:
    """Raise an error if one of ``others`` exists without the emitted module of its network.

    A conversion always writes the module, so what is there without it has another origin.

    Raises:
        OutputError: such a file or folder would be replaced.
    """
    if read_existing(module) is not None:
        return
    for path in others:
        if path.exists():
            raise OutputError(
                f"{path}: this exists, but {module.name}, which a conversion writes next to it, does not, so another "
                "program wrote it; move it away or choose another folder"
            )


def read_existing(path: Path) -> str | None:
    """Return the text of a file; None if there is no such file.

    Raises:
        OutputError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        return None  # reported by `Staging.path`
    except OSError as e:
        raise OutputError(f"{path}: this file cannot be read: {e.strerror or e}; choose another folder") from e
