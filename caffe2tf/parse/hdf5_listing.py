"""Lists what an HDF5 file holds, in a child process with limits, and without following a path out of the file.

External links, datasets in external files and virtual datasets are refused by their description, before what they name
is opened: it could be any file of the machine, or a pipe that blocks for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import h5py

from caffe2tf.errors import ParseError
from caffe2tf.parse.contained import contained

__all__ = ["Tree", "hdf5_errors", "list_hdf5", "require_inside"]

Object: TypeAlias = "h5py.Group | h5py.Dataset | h5py.Datatype"

_WHAT_LIBHDF5_RAISES: Final = (
    *(OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, SystemError, MemoryError, RecursionError),
)
_SOFT_LINKS: Final = 16  # that one name may lead through, as in libhdf5
_MEMORY: Final = 64 << 20
_SECONDS: Final = 1.0
_SECONDS_PER_BYTE: Final = 2e-6  # a sound file of 1,000 layers has 2 MB of structure and takes less than 1 s
_MOST_SECONDS: Final = 60.0
_INSTEAD: Final = "save the file again with all values in it"


@dataclass(frozen=True, slots=True)
class Tree:
    """The groups and datasets of an open file.

    Attributes:
        path: The path of the file, for messages.
        root: The root group.
    """

    path: Path
    root: h5py.Group

    def child(self, parent: h5py.Group, name: str) -> Object:
        """Return the member of a group.

        Raises:
            ParseError: The name leads out of the file.
            KeyError: It leads nowhere.
        """
        return self._follow(parent, name, _SOFT_LINKS)

    def find(self, name: str) -> Object | None:
        """Return the member of the root group; None if there is none."""
        return self.child(self.root, name) if name in self.root.id else None  # does not follow the link

    def _follow(self, parent: h5py.Group, name: str, most: int) -> Object:
        link = parent.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            where = f"{parent.name.rstrip('/')}/{name}"
            raise ParseError(f"{self.path}: {where} is a link to another file, {link.filename!r}; {_INSTEAD}")
        if not isinstance(link, h5py.SoftLink):
            return parent[name]
        if most == 0:
            raise KeyError(f"the soft link {name!r} leads through too many others")
        found: Object = self.root if link.path.startswith("/") else parent
        for part in link.path.split("/"):
            if part in ("", "."):
                continue
            if not isinstance(found, h5py.Group):
                raise KeyError(f"the soft link {name!r} leads through something that is not a group")
            found = self._follow(found, part, most - 1)
        return found


def list_hdf5(path: Path, size: int, listing: Callable[[Tree], Any]) -> Any:  # noqa: ANN401 - any JSON
    """Return ``listing(tree)``, which JSON must be able to express, for the HDF5 file at `path`.

    Args:
        path: The file.
        size: Its size in bytes, which bounds the time that a sound file takes.
        listing: What to list. It runs in a child process.

    Raises:
        ParseError: The file cannot be read, or `listing` raises the error.
    """

    def work() -> Any:  # noqa: ANN401 - as `listing`
        with hdf5_errors(str(path)), h5py.File(path, "r") as file:
            return listing(Tree(path, file))

    seconds = min(_SECONDS + size * _SECONDS_PER_BYTE, _MOST_SECONDS)
    return contained(work, where=str(path), seconds=seconds, memory=_MEMORY)


def require_inside(dataset: h5py.Dataset, where: str) -> h5py.h5p.PropDCID:
    """Return how a dataset is stored; raise ParseError if its values are in other files."""
    stored = dataset.id.get_create_plist()
    if stored.get_layout() == h5py.h5d.VIRTUAL:
        raise ParseError(f"{where}: it is a virtual dataset, whose values are in other datasets; {_INSTEAD}")
    if stored.get_external_count():
        raise ParseError(f"{where}: its values are in another file; {_INSTEAD}")
    return stored


@contextmanager
def hdf5_errors(where: str) -> Iterator[None]:
    """Turn what h5py raises about a malformed file into a ParseError."""
    try:
        yield
    except _WHAT_LIBHDF5_RAISES as error:
        reason = str(error.args[0] if error.args else error)
        what = f"{where}: HDF5 cannot read this: {reason}; copy or download the file again"
        raise ParseError(what) from None
