"""Two arrays of activations to a verdict: names, shape, finiteness, then closeness."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2tf.errors import UsageError
from caffe2tf.verification.reference import Recorded

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["BlobVerdict", "Tolerance", "judge"]

_LARGEST = float(np.finfo(np.float32).max)
_SQUARABLE = 1e140  # the squares of many smaller values have a finite sum in float64
_NEGLIGIBLE = 1e-6  # an absolute difference at which float32 arithmetic on values of order 1 says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """When two blobs are the same.

    Attributes:
        relative: greatest ``||ours - reference|| / ||reference||``.
        peak: greatest single difference, as a share of the reference's greatest magnitude.
    """

    relative: float = 1e-5
    peak: float = 1e-4

    def __post_init__(self) -> None:
        """Refuses what would call anything the same.

        Raises:
            UsageError: a bound is negative or not finite.
        """
        for name, bound in (("relative", self.relative), ("peak", self.peak)):
            if not 0 <= bound < math.inf:
                raise UsageError(f"tolerance {name} is {bound:g}; it must be 0 or more, and finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobVerdict:
    """What the comparison of one blob found.

    Attributes:
        blob: its name.
        layer: the Caffe layer that writes it last.
        same: the verdict.
        shape: ours, in Caffe's axis order; None where we have no such blob.
        max_abs: greatest difference; None where nothing could be compared.
        relative_l2: ``||ours - reference|| / ||reference||``; None likewise.
        reason: what differs; empty where nothing does.
        note: what to know although nothing differs; else empty.
    """

    blob: str
    layer: str
    same: bool
    shape: tuple[int, ...] | None
    max_abs: float | None = None
    relative_l2: float | None = None
    reason: str = ""
    note: str = ""


def judge(blob: str, layer: str, ours: npt.NDArray[Any], reference: Recorded, tolerance: Tolerance) -> BlobVerdict:
    """The verdict on one blob; both sides in Caffe's axis order."""
    reason, distance = _difference(ours, reference, tolerance)
    return BlobVerdict(
        blob=blob,
        layer=layer,
        same=not reason,
        shape=ours.shape,
        max_abs=None if distance is None else distance.max_abs,
        relative_l2=None if distance is None else distance.relative_l2,
        reason=reason,
        note="" if reason or distance is not None else "no finite value was there to compare",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Distance:
    """How far apart two sets of finite values are; infinite where float64 cannot hold it."""

    max_abs: float
    relative_l2: float

    @classmethod
    def between(cls, got: npt.NDArray[Any], want: npt.NDArray[Any]) -> _Distance:
        largest = float(max(np.abs(got).max(), np.abs(want).max()))
        scale = largest if largest > _SQUARABLE else 1.0
        got, want = (got, want) if scale == 1 else (got / scale, want / scale)
        max_abs = float(np.abs(got - want).max()) * scale
        norm = float(np.linalg.norm(want))
        return cls(max_abs=max_abs, relative_l2=float(np.linalg.norm(got - want)) / norm if norm else max_abs)


def _difference(ours: npt.NDArray[Any], reference: Recorded, tolerance: Tolerance) -> tuple[str, _Distance | None]:
    """What differs, "" for nothing, and by how much, where that can be said."""
    if ours.shape != reference.shape:
        return f"shape {_extents(ours.shape)}, the reference has {_extents(reference.shape)}", None
    with np.errstate(over="ignore"):  # of longer floats than float64
        got, want = reference.sample(ours).astype("f8"), reference.values.astype("f8")
    if not want.size:
        return "there is nothing to compare: the reference is empty", None
    other = _other_kinds(got, want)
    if other:
        return other + _beyond_single(reference.values), None
    finite = np.isfinite(want)
    distance = _Distance.between(got[finite], want[finite]) if finite.any() else None
    too_far = "" if distance is None else _too_far(distance, reference, tolerance)
    return too_far or _other_norm(ours, reference, tolerance), distance


def _other_kinds(got: npt.NDArray[Any], want: npt.NDArray[Any]) -> str:
    """Where NaN, infinity and minus infinity do not stand for themselves."""
    elsewhere = np.isfinite(got) != np.isfinite(want)
    if elsewhere.any():
        return f"non-finite values stand in other places ({elsewhere.sum()} of {want.size})"
    unlike = ~np.isfinite(want) & (got != want) & ~(np.isnan(got) & np.isnan(want))
    if not unlike.any():
        return ""
    mine, theirs = got[unlike][0], want[unlike][0]
    return f"non-finite values are of another kind ({unlike.sum()} of {want.size}): {mine}, the reference has {theirs}"


def _beyond_single(values: npt.NDArray[Any]) -> str:
    """What may explain that a value of ours is infinite."""
    beyond = values[np.isfinite(values) & (np.abs(values) > _LARGEST)]
    if not beyond.size:
        return ""
    return f"; the reference holds {beyond[0]:g}, and networks compute in float32, which ends at {_LARGEST:.2g}"


def _too_far(distance: _Distance, reference: Recorded, tolerance: Tolerance) -> str:
    if distance.max_abs <= _NEGLIGIBLE:
        return ""
    if math.isinf(distance.max_abs):
        return "the greatest difference is more than float64 can hold"
    if distance.relative_l2 > tolerance.relative:
        return f"relative L2 {distance.relative_l2:.3g} is over {tolerance.relative:g}"
    if distance.max_abs > tolerance.peak * reference.peak:
        return f"max abs {distance.max_abs:.3g} is over {tolerance.peak:g} of the peak {reference.peak:.3g}"
    return ""


def _other_norm(ours: npt.NDArray[Any], reference: Recorded, tolerance: Tolerance) -> str:
    """Of a blob that was recorded at some places alone: whether the whole of it is as large, and as finite."""
    if reference.norm is None:
        return ""
    what, mine, theirs = "norm", _norm(ours), reference.norm
    if reference.overflowed:
        what, mine, theirs = "peak", float(np.abs(ours).max()), reference.peak
    if math.isfinite(theirs):
        alike = abs(mine - theirs) <= 10 * tolerance.relative * max(theirs, 1)  # False for NaN
    else:
        alike = mine == theirs or (math.isnan(mine) and math.isnan(theirs))
    return "" if alike else f"{what} {mine:.8g}, the reference has {theirs:.8g}"


def _norm(values: npt.NDArray[Any]) -> float:
    """The L2 norm, not finite where one of the values is not, and where float64 cannot hold it."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.linalg.norm(values.astype("f8")))


def _extents(shape: tuple[int, ...]) -> str:
    """A shape for a person."""
    return "x".join(map(str, shape)) or "scalar"
