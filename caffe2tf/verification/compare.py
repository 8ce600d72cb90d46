"""Compares one blob with its recording: shape, then finiteness, then closeness."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2tf.errors import UsageError
from caffe2tf.verification.reference import Recorded

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["BlobVerdict", "Tolerance", "judge"]

_LARGEST = float(np.finfo(np.float32).max)
_SQUARABLE = 1e140  # below this, sums of squares are finite in float64
_SMALL = 1e-6  # above this, no difference is excused as rounding
_ROUNDINGS = 8  # how many times the effect of rounding the inputs once is excused


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """The largest differences at which two blobs count as the same.

    Attributes:
        relative: bound of the relative L2 difference, ``||ours - reference|| / ||reference||``.
        peak: bound of the largest single difference, as a fraction of the largest magnitude in the reference.
    """

    relative: float = 1e-5
    peak: float = 1e-4

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            UsageError: a bound is negative or not finite.
        """
        for name, bound in (("relative", self.relative), ("peak", self.peak)):
            if not 0 <= bound < math.inf:
                raise UsageError(f"tolerance {name} must be 0 or more and finite, not {bound:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobVerdict:
    """The outcome of comparing one blob.

    Attributes:
        blob: the name of the blob.
        layer: the Caffe layer that writes it last.
        same: whether the blob is within the tolerance.
        shape: our shape, in Caffe's axis order; None if our network has no such blob.
        max_abs: the largest absolute difference; None if no values could be compared.
        relative_l2: ``||ours - reference|| / ||reference||``; None if no values could be compared.
        reason: what differs; "" if nothing does.
        note: a remark although nothing differs; else "".
    """

    blob: str
    layer: str
    same: bool
    shape: tuple[int, ...] | None
    max_abs: float | None = None
    relative_l2: float | None = None
    reason: str = ""
    note: str = ""


def judge(
    blob: str,
    layer: str,
    ours: npt.NDArray[Any],
    reference: Recorded,
    tolerance: Tolerance,
    rounding: Callable[[], float] | None = None,
) -> BlobVerdict:
    """Compare one blob with its recording.

    Args:
        blob: the name of the blob.
        layer: the layer that writes it.
        ours: our values, in Caffe's axis order.
        reference: the recording, in Caffe's axis order.
        tolerance: the bounds.
        rounding: returns how much the blob changes if the inputs are rounded once; None if that is not known. It is
            called only if a small difference exceeds the tolerance.
    """
    reason, note, distance = _difference(ours, reference, tolerance, rounding)
    return BlobVerdict(
        blob=blob,
        layer=layer,
        same=not reason,
        shape=ours.shape,
        max_abs=None if distance is None else distance.max_abs,
        relative_l2=None if distance is None else distance.relative_l2,
        reason=reason,
        note=note,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Distance:
    """The distance between two sets of finite values; infinite if it exceeds float64."""

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


def _difference(
    ours: npt.NDArray[Any], reference: Recorded, tolerance: Tolerance, rounding: Callable[[], float] | None
) -> tuple[str, str, _Distance | None]:
    """Return what differs, or "", a remark if nothing does, or "", and the distance if there is one."""
    if ours.shape != reference.shape:
        return f"shape {_extents(ours.shape)}, the reference has {_extents(reference.shape)}", "", None
    with np.errstate(over="ignore"):  # for long doubles
        got, want = reference.sample(ours).astype("f8"), reference.values.astype("f8")
    if not want.size:
        return "nothing to compare: the reference is empty", "", None
    other = _other_kinds(got, want)
    if other:
        return other + _beyond_single(reference.values), "", None
    finite = np.isfinite(want)
    other_norm = _other_norm(ours, reference, tolerance)
    if not finite.any():
        return other_norm, "" if other_norm else "the blob has no finite value to compare", None
    distance = _Distance.between(got[finite], want[finite])
    too_far = _too_far(distance, reference, tolerance)
    excuse = _excuse(distance, rounding) if too_far and not other_norm else ""
    return "" if excuse else too_far or other_norm, excuse, distance


def _excuse(distance: _Distance, rounding: Callable[[], float] | None) -> str:
    """Return why a distance beyond the tolerance is only rounding, or ""."""
    if rounding is None or distance.max_abs > _SMALL:
        return ""
    effect = rounding()
    if distance.max_abs > _ROUNDINGS * effect:
        return ""
    return f"difference {distance.max_abs:.3g} is rounding; rounding the inputs once gives {effect:.3g}"


def _other_kinds(got: npt.NDArray[Any], want: npt.NDArray[Any]) -> str:
    """Return how NaN and infinities differ, or ""."""
    elsewhere = np.isfinite(got) != np.isfinite(want)
    if elsewhere.any():
        return f"non-finite values are in other places ({elsewhere.sum()} of {want.size})"
    unlike = ~np.isfinite(want) & (got != want) & ~(np.isnan(got) & np.isnan(want))
    if not unlike.any():
        return ""
    mine, theirs = got[unlike][0], want[unlike][0]
    return f"non-finite values differ ({unlike.sum()} of {want.size}): {mine}, the reference has {theirs}"


def _beyond_single(values: npt.NDArray[Any]) -> str:
    """Return a possible reason why one of our values is infinite, or ""."""
    beyond = values[np.isfinite(values) & (np.abs(values) > _LARGEST)]
    if not beyond.size:
        return ""
    return f"; the reference holds {beyond[0]:g}, more than the largest float32 ({_LARGEST:.2g})"


def _too_far(distance: _Distance, reference: Recorded, tolerance: Tolerance) -> str:
    if math.isinf(distance.max_abs):
        return "the largest difference exceeds float64"
    if distance.relative_l2 > tolerance.relative:
        return f"relative L2 difference {distance.relative_l2:.3g} exceeds {tolerance.relative:g}"
    if distance.max_abs > tolerance.peak * reference.peak:
        return f"largest difference {distance.max_abs:.3g} exceeds {tolerance.peak:g} of the peak {reference.peak:.3g}"
    return ""


def _other_norm(ours: npt.NDArray[Any], reference: Recorded, tolerance: Tolerance) -> str:
    """Compare the norm of the whole blob, if the recording is a digest; return how it differs, or ""."""
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
    """Return the L2 norm; not finite if a value is not finite, or the norm exceeds float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.linalg.norm(values.astype("f8")))


def _extents(shape: tuple[int, ...]) -> str:
    """Format a shape for messages."""
    return "x".join(map(str, shape)) or "scalar"
