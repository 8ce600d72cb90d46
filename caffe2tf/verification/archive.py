"""Arrays by name in an ``.npz`` file, which may be damaged, or made to do harm."""

from __future__ import annotations

import math
import os
import stat
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from caffe2tf.atomic import atomic_writer
from caffe2tf.errors import Caffe2TFError, OutputError, ParseError

__all__ = ["read_arrays", "write_arrays"]

_PIECE: Final = 1 << 20  # bytes read at once
_ENCRYPTED: Final = 0x1  # a bit of an entry's flags
_LONGEST_NAME: Final = 0xFFFF  # bytes: a zip archive has 16 bits for the length
_HEADERS: Final = {  # the third version differs in names of fields alone, which plain arrays do not have
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_arrays(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an ``.npz`` file.

    Memory is taken for what the file holds, not for what it says that it holds.

    Raises:
        ParseError: it is no regular file, cannot be read, or holds anything but plain arrays.
    """
    try:
        _require_regular(Path(path))
        with Path(path).open("rb") as file:
            return _read_all(file, path)
    except Caffe2TFError:
        raise
    except FileNotFoundError:
        raise ParseError(f"{path}: there is no such file") from None
    except Exception as e:  # what a damaged archive raises depends on how it is compressed
        reason = str(e) or type(e).__name__
        raise ParseError(f"{path}: this is no readable .npz of arrays ({reason}); write it with numpy.savez") from e


def _read_all(file: BinaryIO, path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    if file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
        raise ParseError(
            f"{path}: a single array; an .npz with one array for each blob is needed: write it with numpy.savez"
        )
    with zipfile.ZipFile(file) as archive:
        return {e.filename.removesuffix(".npy"): _read_array(archive, e, path) for e in archive.infolist()}


def _require_regular(path: Path) -> None:
    mode = path.stat().st_mode  # before it is opened: opening a pipe could wait forever
    if stat.S_ISDIR(mode):
        raise ParseError(f"{path}: this is a directory; name an .npz file")
    if not stat.S_ISREG(mode):
        raise ParseError(f"{path}: not a regular file; copy it to one first")


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """One array; raises ParseError, and for a damaged entry whatever the modules that read it raise."""
    where = f"{path}: array {entry.filename.removesuffix('.npy')!r}"
    if entry.flag_bits & _ENCRYPTED:
        raise ParseError(f"{where} is encrypted; write it without a password")
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ParseError(f"{where} is of version {version} of NumPy's format, which plain arrays do not need")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that Python 2 wrote, and of odd text in a damaged one
            shape, in_columns, dtype = _HEADERS[version](file)
        if dtype.hasobject or not dtype.itemsize:
            raise ParseError(f"{where} is no plain array, but of {dtype}; write it with numpy.savez")
        size, room = math.prod(shape) * dtype.itemsize, entry.file_size - file.tell()
        if any(d < 0 for d in shape) or size > room:
            raise ParseError(f"{where} is said to have the shape {shape}: {size:,} bytes, and there are {room:,}")
        data = _read_bytes(file, size, where)
    return np.ndarray(shape, dtype, buffer=data, order="F" if in_columns else "C")


def _read_bytes(file: Any, size: int, where: str) -> bytearray:  # noqa: ANN401 - zipfile's type has no name in public
    """Exactly so many bytes, kept as they come: the archive's own word on their number may be false."""
    data = bytearray()
    try:
        while len(data) < size:
            piece = file.read(min(_PIECE, size - len(data)))
            if not piece:
                raise ParseError(f"{where} was cut short: {len(data):,} of {size:,} bytes are there")
            data += piece
    except MemoryError:
        raise ParseError(f"{where} takes {size:,} bytes, which is more memory than there is") from None
    return data


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes arrays by name to an ``.npz`` file, whole or not at all.

    It does as numpy.savez does, which cannot take a blob that is called like one of its parameters.

    Raises:
        OutputError: the file cannot be written, or cannot have an entry of such a name.
    """
    entries = [(_entry(name, path), array) for name, array in arrays.items()]
    with atomic_writer(path) as file, zipfile.ZipFile(file, "w") as archive:
        for entry, array in entries:
            with archive.open(entry, "w", force_zip64=True) as opened:
                np.lib.format.write_array(opened, np.asarray(array), allow_pickle=False)


def _entry(name: str, path: str | os.PathLike[str]) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(f"{name}.npy")
    if len(entry.filename.encode()) > _LONGEST_NAME:
        raise OutputError(f"{path}: the name of blob '{name[:40]}...' is too long for an .npz file; shorten it")
    if entry.filename != f"{name}.npy":  # a null character ends it
        raise OutputError(f"{path}: blob {name!r} cannot stand in an .npz file under its name; rename it")
    return entry
