"""Reads and writes ``.npz`` files of arrays; the reader is safe for damaged and hostile files."""

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
_HEADERS: Final = {  # version 3 only adds Unicode field names, and plain arrays have no fields
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_arrays(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays of an ``.npz`` file.

    Memory is allocated for the bytes that the file contains, not for the sizes that it declares. Nothing is unpickled.

    Args:
        path: the file.

    Returns:
        The arrays by name.

    Raises:
        ParseError: the file is not a regular file, cannot be read, or contains anything but plain arrays.
    """
    try:
        _require_regular(Path(path))
        with Path(path).open("rb") as file:
            return _read_all(file, path)
    except Caffe2TFError:
        raise
    except FileNotFoundError:
        raise ParseError(f"{path}: no such file") from None
    except Exception as e:  # what a damaged archive raises depends on how it is compressed
        reason = str(e) or type(e).__name__
        raise ParseError(f"{path}: not a readable .npz file ({reason}); write it with numpy.savez") from e


def _read_all(file: BinaryIO, path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    if file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
        raise ParseError(
            f"{path}: this is a single array; give an .npz file with one array per blob, written with numpy.savez"
        )
    with zipfile.ZipFile(file) as archive:
        entries = {e.filename.removesuffix(".npy"): e for e in archive.infolist()}
        if len(entries) < len(archive.infolist()):
            names = [e.filename.removesuffix(".npy") for e in archive.infolist()]
            twice = next(name for name in names if names.count(name) > 1)
            raise ParseError(f"{path}: the file contains two arrays named {twice!r}; keep one of them")
        return {name: _read_array(archive, e, path) for name, e in entries.items()}


def _require_regular(path: Path) -> None:
    mode = path.stat().st_mode  # checked before opening: opening a named pipe could block forever
    if stat.S_ISDIR(mode):
        raise ParseError(f"{path}: this is a directory; give an .npz file")
    if not stat.S_ISREG(mode):
        raise ParseError(f"{path}: not a regular file; copy it to a regular file first")


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read one array.

    Raises:
        ParseError: the entry is not a plain array. Damaged entries may raise other exceptions of zipfile and NumPy.
    """
    where = f"{path}: array {entry.filename.removesuffix('.npy')!r}"
    if entry.flag_bits & _ENCRYPTED:
        raise ParseError(f"{where} is encrypted; write it without a password")
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ParseError(f"{where} has version {version} of NumPy's format, which is not supported")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for files written by Python 2, and for damaged headers
            shape, in_columns, dtype = _HEADERS[version](file)
        if dtype.hasobject or not dtype.itemsize:
            raise ParseError(f"{where} has dtype {dtype}, which is not numeric; write it with numpy.savez")
        size, room = math.prod(shape) * dtype.itemsize, entry.file_size - file.tell()
        if any(d < 0 for d in shape) or size > room:
            raise ParseError(f"{where} declares shape {shape}, {size:,} bytes, but the file contains {room:,}")
        data = _read_bytes(file, size, where)
    return np.ndarray(shape, dtype, buffer=data, order="F" if in_columns else "C")


def _read_bytes(file: Any, size: int, where: str) -> bytearray:  # noqa: ANN401 - zipfile's type has no public name
    """Read exactly `size` bytes. The buffer grows with the data, because the declared size may be false."""
    data = bytearray()
    try:
        while len(data) < size:
            piece = file.read(min(_PIECE, size - len(data)))
            if not piece:
                raise ParseError(f"{where} is truncated: {len(data):,} of {size:,} bytes are there")
            data += piece
    except MemoryError:
        raise ParseError(f"{where} needs {size:,} bytes, more memory than is available") from None
    return data


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays to an ``.npz`` file atomically.

    Unlike ``numpy.savez``, it accepts names that are parameters of that function, such as ``file``.

    Args:
        path: the file.
        arrays: the arrays by name.

    Raises:
        OutputError: the file cannot be written, or a name is not possible in an ``.npz`` file.
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
    if entry.filename != f"{name}.npy":  # zipfile cuts names at a null character
        raise OutputError(f"{path}: blob {name!r} cannot be stored in an .npz file under this name; rename it")
    return entry
