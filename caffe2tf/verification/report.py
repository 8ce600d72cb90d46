"""The report of a verification: a verdict for each blob, in the order of the network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2tf.errors import VerificationError
from caffe2tf.verification.compare import BlobVerdict, Tolerance, judge
from caffe2tf.verification.reference import Reference

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Report", "compare_blobs"]

_INSERTED = re.compile(r"(.+)_\d+_split_\d+\Z")  # blobs of Split layers that Caffe inserts


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of a verification.

    Attributes:
        verdicts: one for each blob of the reference, in the order in which the network computes them.
        tolerance: the bounds that were applied.
        unreferenced: computed blobs that the reference does not contain.
        ignored: blobs of the reference that were not compared: copies that Caffe makes of blobs with several readers.
    """

    verdicts: tuple[BlobVerdict, ...]
    tolerance: Tolerance
    unreferenced: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether all blobs are the same. False if nothing was compared."""
        return bool(self.verdicts) and all(v.same for v in self.verdicts)

    @property
    def first_difference(self) -> BlobVerdict | None:
        """The first blob in the order of the network that differs; None if none does."""
        return next((v for v in self.verdicts if not v.same), None)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data for JSON."""
        first = self.first_difference
        return {
            "same": self.same,
            "compared": len(self.verdicts),
            "first_difference": first and {"layer": first.layer, "blob": first.blob, "reason": first.reason},
            "tolerance": asdict(self.tolerance),
            "blobs": [asdict(v) for v in self.verdicts],
            "not_in_reference": list(self.unreferenced),
            "ignored": list(self.ignored),
        }


def compare_blobs(
    ours: Mapping[str, npt.NDArray[Any]],
    reference: Reference,
    *,
    writers: Mapping[str, str],
    tolerance: Tolerance | None = None,
    fed: Mapping[str, npt.NDArray[Any]] | None = None,
    rounding: Callable[[str], float] | None = None,
) -> Report:
    """Compare computed blobs with a reference.

    Args:
        ours: our blobs in the order of the network, in Caffe's axis order.
        reference: recorded activations.
        writers: for each blob, the layer that writes it last. Inputs have none and are not compared.
        tolerance: the bounds; None for the default ones.
        fed: the inputs of the run. An input that differs from the recorded one counts as a difference.
        rounding: returns how much a blob changes if the inputs are rounded once. A difference of at most 1e-6 that
            exceeds the bounds is excused if it is no larger than a few times that; the verdict says so.

    Raises:
        VerificationError: the two sides have no blob in common.
    """
    tolerance = tolerance or Tolerance()
    computed = [b for b in ours if b in writers]
    shared = [b for b in computed if b in reference.blobs]
    if not shared:
        have, want = ", ".join(list(computed)[:8]), ", ".join(reference.names[:8])
        raise VerificationError(f"nothing to compare: the network has the blobs {have}; the reference has {want}")
    unknown = [b for b in reference.names if b not in ours]
    names = tuple(ours)
    ignored = [b for b in unknown if (copied := _INSERTED.match(b)) and copied[1].startswith(names)]
    verdicts = _other_inputs(fed or {}, reference, writers)
    verdicts += [
        judge(b, writers[b], ours[b], reference.blobs[b], tolerance, rounding and partial(rounding, b)) for b in shared
    ]
    verdicts += [
        BlobVerdict(blob=b, layer="", same=False, shape=None, reason="the network has no such blob")
        for b in unknown
        if b not in ignored
    ]
    unreferenced = tuple(b for b in computed if b not in reference.blobs)
    return Report(verdicts=tuple(verdicts), tolerance=tolerance, unreferenced=unreferenced, ignored=tuple(ignored))


def _other_inputs(
    fed: Mapping[str, npt.NDArray[Any]], reference: Reference, writers: Mapping[str, str]
) -> list[BlobVerdict]:
    """Return a verdict for each input whose recording is not what the network was fed."""
    return [
        BlobVerdict(blob=b, layer="", same=False, shape=a.shape, reason="the recorded input is not what was fed")
        for b, a in fed.items()
        if (b in reference.fed or b not in writers) and b in reference.arrays and not _equal(a, reference.arrays[b])
    ]


def _equal(fed: npt.NDArray[Any], recorded: npt.NDArray[Any]) -> bool:
    with np.errstate(over="ignore"):
        return np.array_equal(fed, np.asarray(recorded).astype(np.float32), equal_nan=True)
