"""Run small networks with the source that a conversion emits, and compare with recordings of Caffe."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import caffe2tf
from tests.builders import input_layers, write_caffemodel, write_prototxt

Array = npt.NDArray[np.float32]

RECORDED = Path(__file__).resolve().parent.parent / "data" / "layers"


def run_layer(
    text: str, inputs: Mapping[str, npt.ArrayLike], blobs: Mapping[str, Sequence[npt.ArrayLike]] | None = None
) -> dict[str, Array]:
    """Return all blobs of a network after one forward pass.

    Args:
        text: the text of the layers, without the Input layers.
        inputs: an array for each input, in Caffe's axis order.
        blobs: trained blobs by layer name; None to use the fillers.
    """
    arrays = {name: np.asarray(a, np.float32) for name, a in inputs.items()}
    with tempfile.TemporaryDirectory() as folder:
        prototxt = write_prototxt(Path(folder), input_layers({n: a.shape for n, a in arrays.items()}) + text)
        weights = None if blobs is None else write_caffemodel(Path(folder), blobs)
        return caffe2tf.run(prototxt, weights, arrays)


def recorded(*prefixes: str) -> list[str]:
    """Return the names of the recorded cases that begin with one of the prefixes.

    Raises:
        AssertionError: there is no such case.
    """
    found = sorted(p.name for p in RECORDED.iterdir() if p.name.startswith(prefixes))
    if not found:
        raise AssertionError(f"no recorded case begins with {' or '.join(prefixes)}")
    return found


def read_recorded(folder: Path) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the inputs and the blobs that Caffe computed, without the tops of the Split layers that it inserts."""
    with np.load(folder / "blobs.npz") as arrays:
        fed = {k.removeprefix("in/"): arrays[k] for k in arrays.files if k.startswith("in/")}
        want = {k.removeprefix("out/"): arrays[k] for k in arrays.files if k.startswith("out/")}
    want = {k: v for k, v in want.items() if "_split_" not in k}
    assert want, folder
    return fed, want


def check_recorded(case: str, folder: Path = RECORDED) -> None:
    """Check that each blob of a recorded case has the values that Caffe computed."""
    fed, want = read_recorded(folder / case)
    weights = folder / case / "net.caffemodel"
    have = caffe2tf.run(folder / case / "net.prototxt", weights if weights.exists() else None, fed)
    for name, array in want.items():
        assert_matches(have[name], array, f"{case}: {name}")


def assert_matches(have: npt.ArrayLike, want: npt.ArrayLike, name: str = "", *, tolerance: float = 1e-5) -> None:
    """Check that two arrays are equal except for float32 rounding.

    Shapes and non-finite values must be equal. The norm of the difference of the finite values may be at most
    ``tolerance`` times the norm of ``want``, plus 1e-7.
    """
    a, b = np.asarray(have, np.float64), np.asarray(want, np.float64)
    assert a.shape == b.shape, f"{name}: shape {a.shape}, wanted {b.shape}"
    finite = np.isfinite(b)
    assert np.array_equal(np.isfinite(a), finite), f"{name}: non-finite values at other positions"
    assert np.array_equal(a[~finite], b[~finite], equal_nan=True), f"{name}: other non-finite values"
    a, b = a[finite], b[finite]
    error, norm = float(np.linalg.norm(a - b)), float(np.linalg.norm(b))
    assert error <= tolerance * norm + 1e-7, f"{name}: relative error {error / (norm or 1):.2g}"
