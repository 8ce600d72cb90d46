"""Recorded activations: whole arrays, or digests of them."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from caffe2tf.atomic import atomic_writer
from caffe2tf.errors import ParseError, VerificationError

__all__ = ["Recorded", "Reference", "read_arrays", "read_reference", "write_arrays"]

_DIGEST = ("shape", "index", "value", "l2", "absmax")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recorded:
    """One blob as it was recorded, in Caffe's axis order.

    Attributes:
        shape: of the whole blob.
        values: the values recorded, flat.
        index: where in the flat blob they stand; None for all of it.
        peak: greatest magnitude in the whole blob.
        norm: L2 norm of the whole blob; None where `values` are all of it.
    """

    shape: tuple[int, ...]
    values: npt.NDArray[Any]
    index: npt.NDArray[Any] | None
    peak: float
    norm: float | None = None

    @classmethod
    def whole(cls, array: npt.ArrayLike) -> Recorded:
        """A blob of which every value is at hand."""
        a = np.asarray(array)
        finite = a[np.isfinite(a)] if a.dtype.kind == "f" else a
        peak = float(np.abs(finite).max()) if finite.size else 0.0
        return cls(shape=a.shape, values=a.reshape(-1), index=None, peak=peak)

    def sample(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The values of another blob of this shape at the places recorded."""
        flat = array.reshape(-1)
        return flat if self.index is None else flat[self.index]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """Recorded activations by blob, and the inputs that they were recorded with, where the file holds them."""

    blobs: Mapping[str, Recorded]
    arrays: Mapping[str, npt.NDArray[Any]]


def read_arrays(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an ``.npz`` file.

    Raises:
        ParseError: it cannot be read, or holds anything but plain arrays.
    """
    try:
        with Path(path).open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ParseError(f"{path}: a single array; an .npz with one array for each blob is needed")
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise ParseError(f"{path}: there is no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError) as e:
        raise ParseError(f"{path}: this is no readable .npz of arrays ({e}); write it with numpy.savez") from e


def read_reference(source: str | os.PathLike[str] | Mapping[str, npt.ArrayLike]) -> Reference:
    """Recorded activations, from arrays by blob name or an ``.npz`` of them.

    Keys may carry the prefix ``in/`` or ``out/``. Five keys ``<blob>/shape``, ``/index``, ``/value``, ``/l2`` and
    ``/absmax`` together are a digest of one blob.

    Raises:
        ParseError: the file cannot be read.
        VerificationError: it holds no blob.
    """
    given = dict(source) if isinstance(source, Mapping) else read_arrays(source)
    arrays = {k: np.asarray(v) for k, v in given.items()}
    digests = {k[: -len("/shape")] for k in arrays if k.endswith("/shape")}
    digests = {b for b in digests if all(f"{b}/{part}" in arrays for part in _DIGEST)}
    blobs = {b: _digest(arrays, b) for b in digests}
    plain: dict[str, npt.NDArray[Any]] = {}
    for key, array in arrays.items():
        if key.rpartition("/")[0] in digests and key.rpartition("/")[2] in _DIGEST:
            continue
        plain[key.removeprefix("in/").removeprefix("out/")] = array
    odd = sorted(name for name, array in plain.items() if array.dtype.kind not in "fiub")
    if odd:
        raise ParseError(f"the reference holds something other than numbers: {', '.join(map(repr, odd))}")
    blobs |= {name: Recorded.whole(array) for name, array in plain.items()}
    if not blobs:
        raise VerificationError("the reference holds no blob: there is nothing to compare")
    return Reference(blobs=blobs, arrays=plain)


def _digest(arrays: Mapping[str, npt.NDArray[Any]], blob: str) -> Recorded:
    part = {p: arrays[f"{blob}/{p}"] for p in _DIGEST}
    shape = tuple(int(d) for d in part["shape"].reshape(-1))
    values, index = part["value"].reshape(-1), part["index"].reshape(-1)
    size = math.prod(shape)
    within = index.dtype.kind in "iu" and index.shape == values.shape and bool(np.all((index >= 0) & (index < size)))
    if not (within and part["absmax"].size == part["l2"].size == 1 and values.dtype.kind in "fiub"):
        raise ParseError(f"the reference's digest of blob {blob!r} is not sound: its parts do not fit together")
    return Recorded(
        shape=shape,
        values=values,
        index=index,
        peak=_peak(part["absmax"], values),
        norm=float(part["l2"].reshape(())),
    )


def _peak(told: npt.NDArray[Any], values: npt.NDArray[Any]) -> float:
    peak = float(told.reshape(()))
    return peak if math.isfinite(peak) else Recorded.whole(values).peak


def _write_npz(file: BinaryIO, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """As numpy.savez does, which cannot take a blob that is called like one of its parameters."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes arrays by name to an ``.npz`` file, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_writer(path) as file:
        _write_npz(file, arrays)
