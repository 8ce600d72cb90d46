"""Recorded activations: whole arrays, or digests of them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
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
    """The recording of one blob, in Caffe's axis order.

    Attributes:
        shape: the shape of the whole blob.
        values: the recorded values, flat.
        index: positions of the values in the flat blob; None if all values are recorded.
        peak: the largest known finite magnitude in the blob.
        norm: the L2 norm of the whole blob, which is not finite if a value is not; None if all values are recorded.
        overflowed: whether the norm is infinite because squares overflowed, although all values are finite.
    """

    shape: tuple[int, ...]
    values: npt.NDArray[Any]
    index: npt.NDArray[Any] | None
    peak: float
    norm: float | None = None
    overflowed: bool = False

    @classmethod
    def whole(cls, array: npt.ArrayLike) -> Recorded:
        """Return the recording of a blob with all its values."""
        a = np.asarray(array)
        finite = a[np.isfinite(a)] if a.dtype.kind == "f" else a
        with np.errstate(over="ignore"):  # long doubles may exceed float64
            peak = float(np.abs(finite.astype("f8")).max()) if finite.size else 0.0
        return cls(shape=a.shape, values=a.reshape(-1), index=None, peak=peak)

    def sample(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values of another blob of the same shape at the recorded positions."""
        flat = array.reshape(-1)
        return flat if self.index is None else flat[self.index]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """Recorded activations.

    Attributes:
        blobs: the recordings to compare with, by blob.
        arrays: whole arrays by blob, from which the network's inputs are taken.
        fed: the blobs that are recorded as fed values, ``in/<blob>``.
    """

    blobs: Mapping[str, Recorded]
    arrays: Mapping[str, npt.NDArray[Any]]
    fed: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all blobs in the recording."""
        return tuple(dict.fromkeys([*self.blobs, *self.arrays]))


def read_reference(source: str | os.PathLike[str] | Mapping[str, npt.ArrayLike]) -> Reference:
    """Read recorded activations.

    A key is the name of a blob. If a layer rewrites an input in place, ``in/<blob>`` holds the values that were fed,
    and ``out/<blob>`` those after the forward pass. The five keys ``<blob>/shape``, ``/index``, ``/value``, ``/l2`` and
    ``/absmax`` together are a digest: shape, positions of some values, these values, norm and peak of the whole blob.

    Args:
        source: the path of an ``.npz`` file, or arrays by key.

    Raises:
        ParseError: the file cannot be read, or contains something other than numbers.
        VerificationError: it contains no blob.
    """
    if isinstance(source, Mapping):
        return _reference({k: np.asarray(v) for k, v in source.items()}, "")
    return _reference(read_arrays(source), f"{os.fspath(source)}: ")


def _reference(arrays: Mapping[str, npt.NDArray[Any]], where: str) -> Reference:
    """Return the reference in `arrays`; `where` begins error messages with the file, if there is one."""
    names = [k.removesuffix("/shape") for k in arrays if k.endswith("/shape")]
    digests = [b for b in names if all(f"{b}/{part}" in arrays for part in _DIGEST)]
    parts = {f"{b}/{part}" for b in digests for part in _DIGEST}
    whole = {k: a for k, a in arrays.items() if k not in parts}
    fed, left = _below(_FED, whole), _below(_LEFT, whole)
    plain = {k: a for k, a in whole.items() if not k.startswith((_FED, _LEFT))}
    odd = sorted({b for group in (fed, plain, left) for b, a in group.items() if a.dtype.kind not in "fiub"})
    if odd:
        raise ParseError(f"{where}the reference holds something other than numbers: {', '.join(map(repr, odd))}")
    _refuse_duplicates(digests, plain, left, where)
    blobs = {b: _digest(arrays, b, where) for b in digests}
    blobs |= {name: Recorded.whole(array) for name, array in (plain | left).items()}
    if not blobs:
        raise VerificationError(f"{where}the reference holds no blob: there is nothing to compare")
    return Reference(blobs=blobs, arrays=left | plain | fed, fed=frozenset(fed))


def _refuse_duplicates(
    digests: Sequence[str], plain: Mapping[str, object], final: Mapping[str, object], where: str
) -> None:
    """Refuse two recordings of one blob, of which only one could be compared."""
    for blob in [*plain, *final]:
        if blob in digests:
            raise VerificationError(f"{where}the reference holds blob {blob!r} both whole and as a digest; keep one")
    for blob in plain:
        if blob in final:
            raise VerificationError(
                f"{where}the reference holds blob {blob!r} twice, as {blob!r} and as '{_LEFT}{blob}'; keep one, and "
                f"record fed values as '{_FED}{blob}'"
            )


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
    """Return a recorded shape; None if it is invalid. That of a scalar is empty, and NumPy stores it as floats."""
    if told.dtype.kind not in "fiu" or not np.all(np.isfinite(told) & (told >= 0) & (told == np.floor(told))):
        return None
    return tuple(int(d) for d in told.reshape(-1))


def _number(told: npt.NDArray[Any]) -> float | None:
    return float(told.reshape(())) if told.size == 1 and told.dtype.kind in "fiu" else None
