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
    """

    blob: str
    layer: str
    same: bool
    shape: tuple[int, ...] | None
    max_abs: float | None = None
    relative_l2: float | None = None
    reason: str = ""


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
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Distance:
    """How far apart two sets of finite values are."""

    max_abs: float = 0.0
    relative_l2: float = 0.0

    @classmethod
    def between(cls, got: npt.NDArray[Any], want: npt.NDArray[Any]) -> _Distance:
        if not want.size:
            return cls()
        max_abs = float(np.abs(got - want).max())
        norm = float(np.linalg.norm(want))
        return cls(max_abs=max_abs, relative_l2=float(np.linalg.norm(got - want)) / norm if norm else max_abs)


def _difference(ours: npt.NDArray[Any], reference: Recorded, tolerance: Tolerance) -> tuple[str, _Distance | None]:
    """What differs, "" for nothing, and by how much, where that can be said."""
    if ours.shape != reference.shape:
        return f"shape {_extents(ours.shape)}, the reference has {_extents(reference.shape)}", None
    got, want = reference.sample(ours).astype("f8"), reference.values.astype("f8")
    if not want.size:
        return "there is nothing to compare: the reference is empty", None
    finite = np.isfinite(want)
    elsewhere = int((np.isfinite(got) != finite).sum())
    if elsewhere:
        return f"non-finite values stand in other places ({elsewhere} of {want.size})", None
    distance = _Distance.between(got[finite], want[finite])
    return _too_far(distance, reference, tolerance) or _other_norm(ours, reference, tolerance), distance


def _too_far(distance: _Distance, reference: Recorded, tolerance: Tolerance) -> str:
    if distance.max_abs <= _NEGLIGIBLE:
        return ""
    if distance.relative_l2 > tolerance.relative:
        return f"relative L2 {distance.relative_l2:.3g} is over {tolerance.relative:g}"
    if distance.max_abs > tolerance.peak * reference.peak:
        return f"max abs {distance.max_abs:.3g} is over {tolerance.peak:g} of the peak {reference.peak:.3g}"
    return ""


def _other_norm(ours: npt.NDArray[Any], reference: Recorded, tolerance: Tolerance) -> str:
    """Of a blob that was recorded at some places alone: whether the whole of it is as large."""
    if reference.norm is None or not np.isfinite(reference.norm):
        return ""
    norm = float(np.linalg.norm(ours.astype("f8")))
    if abs(norm - reference.norm) <= 10 * tolerance.relative * max(reference.norm, 1):  # False for NaN
        return ""
    return f"norm {norm:.8g}, the reference has {reference.norm:.8g}"


def _extents(shape: tuple[int, ...]) -> str:
    """A shape for a person."""
    return "x".join(map(str, shape)) or "scalar"
