"""Recorded activations: whole arrays, or digests of them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe2tf.errors import ParseError, VerificationError
from caffe2tf.verification.archive import read_arrays

__all__ = ["Recorded", "Reference", "read_reference"]

_DIGEST = ("shape", "index", "value", "l2", "absmax")
_FED, _LEFT = "in/", "out/"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recorded:
    """One blob as it was recorded, in Caffe's axis order.

    Attributes:
        shape: of the whole blob.
        values: the values recorded, flat.
        index: where in the flat blob they stand; None for all of it.
        peak: greatest finite magnitude that is known of the blob.
        norm: L2 norm of the whole blob, not finite where the blob has such values; None where `values` are all of it.
        overflowed: whether the norm is infinite although every value is finite: their squares were too large.
    """

    shape: tuple[int, ...]
    values: npt.NDArray[Any]
    index: npt.NDArray[Any] | None
    peak: float
    norm: float | None = None
    overflowed: bool = False

    @classmethod
    def whole(cls, array: npt.ArrayLike) -> Recorded:
        """A blob of which every value is at hand."""
        a = np.asarray(array)
        finite = a[np.isfinite(a)] if a.dtype.kind == "f" else a
        with np.errstate(over="ignore"):  # a peak beyond float64
            peak = float(np.abs(finite.astype("f8")).max()) if finite.size else 0.0
        return cls(shape=a.shape, values=a.reshape(-1), index=None, peak=peak)

    def sample(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The values of another blob of this shape at the places recorded."""
        flat = array.reshape(-1)
        return flat if self.index is None else flat[self.index]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """Recorded activations.

    Attributes:
        blobs: what to compare with, by blob.
        arrays: what the network was fed, as far as the recording tells: by blob, and of more blobs than are inputs.
    """

    blobs: Mapping[str, Recorded]
    arrays: Mapping[str, npt.NDArray[Any]]

    @property
    def names(self) -> tuple[str, ...]:
        """Every blob that there is anything of."""
        return tuple(dict.fromkeys([*self.blobs, *self.arrays]))


def read_reference(source: str | os.PathLike[str] | Mapping[str, npt.ArrayLike]) -> Reference:
    """Recorded activations, from arrays by blob name or an ``.npz`` of them.

    The key ``in/<blob>`` holds what the network was fed, ``out/<blob>`` what the blob held in the end, which is another
    thing where a layer rewrites an input in place; a key without prefix stands for both. Five keys ``<blob>/shape``,
    ``/index``, ``/value``, ``/l2`` and ``/absmax`` together are a digest of one blob.

    Raises:
        ParseError: the file cannot be read, or holds something other than numbers.
        VerificationError: it holds no blob.
    """
    if isinstance(source, Mapping):
        return _reference({k: np.asarray(v) for k, v in source.items()}, "")
    return _reference(read_arrays(source), f"{os.fspath(source)}: ")


def _reference(arrays: Mapping[str, npt.NDArray[Any]], where: str) -> Reference:
    """What arrays by key say; ``where`` begins the messages: the file, if there is one."""
    names = [k.removesuffix("/shape") for k in arrays if k.endswith("/shape")]
    digests = [b for b in names if all(f"{b}/{part}" in arrays for part in _DIGEST)]
    parts = {f"{b}/{part}" for b in digests for part in _DIGEST}
    whole = {k: a for k, a in arrays.items() if k not in parts}
    fed, left = _below(_FED, whole), _below(_LEFT, whole)
    plain = {k: a for k, a in whole.items() if not k.startswith((_FED, _LEFT))}
    odd = sorted({b for group in (fed, plain, left) for b, a in group.items() if a.dtype.kind not in "fiub"})
    if odd:
        raise ParseError(f"{where}the reference holds something other than numbers: {', '.join(map(repr, odd))}")
    blobs = {b: _digest(arrays, b, where) for b in digests}
    blobs |= {name: Recorded.whole(array) for name, array in (plain | left).items()}
    if not blobs:
        raise VerificationError(f"{where}the reference holds no blob: there is nothing to compare")
    return Reference(blobs=blobs, arrays=left | plain | fed)


def _below(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}


def _digest(arrays: Mapping[str, npt.NDArray[Any]], blob: str, where: str) -> Recorded:
    part = {p: arrays[f"{blob}/{p}"] for p in _DIGEST}
    shape = _shape(part["shape"])
    values, index = part["value"].reshape(-1), part["index"].reshape(-1)
    norm, peak = _number(part["l2"]), _number(part["absmax"])
    if shape is None or norm is None or peak is None or not _fits(index, values, math.prod(shape)):
        raise ParseError(f"{where}the reference's digest of blob {blob!r} is not sound: its parts do not fit together")
    return Recorded(
        shape=shape,
        values=values,
        index=index,
        peak=peak if math.isfinite(peak) else Recorded.whole(values).peak,
        norm=norm,
        overflowed=math.isinf(norm) and math.isfinite(peak),
    )


def _fits(index: npt.NDArray[Any], values: npt.NDArray[Any], size: int) -> bool:
    if index.dtype.kind not in "iu" or values.dtype.kind not in "fiub" or index.shape != values.shape:
        return False
    return bool(np.all((index >= 0) & (index < size)))


def _shape(told: npt.NDArray[Any]) -> tuple[int, ...] | None:
    """Of a blob; None for what is none. A scalar's is an empty array, which NumPy makes one of floats."""
    if told.dtype.kind not in "fiu" or not np.all(np.isfinite(told) & (told >= 0) & (told == np.floor(told))):
        return None
    return tuple(int(d) for d in told.reshape(-1))


def _number(told: npt.NDArray[Any]) -> float | None:
    return float(told.reshape(())) if told.size == 1 and told.dtype.kind in "fiu" else None
