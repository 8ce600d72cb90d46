"""Keras weight files, written without TensorFlow at about the speed of the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from caffe2tf.atomic import atomic_writer
from caffe2tf.emit.hashing import hash_file
from caffe2tf.emit.weights.h5 import write_h5
from caffe2tf.emit.weights.npy import write_npy
from caffe2tf.emit.weights.npz import write_npz

if TYPE_CHECKING:
    from caffe2tf.ir.weight import Weight

__all__ = ["WeightFormat", "running_total", "write_weights"]

WeightFormat = Literal["h5", "npz", "npy"]


def write_weights(
    path: str | os.PathLike[str],
    weights: Mapping[str, Mapping[str, Weight]],
    *,
    format: WeightFormat,  # noqa: A002 - the word for it
    layout: Literal["dicts", "lists"] = "dicts",
    progress: Callable[[int], None] | None = None,
) -> str:
    """Write all weights of a model to one file, whole or not at all, and release their sources on the way.

    Writing the same weights twice gives identical bytes.

    Args:
        path: the file; what it held before is replaced.
        weights: by Keras layer name, then by weight name in the order of the Keras layer; names without ``/``.
        format: ``h5`` (Keras' legacy HDF5), ``npz`` (``layer/weight``) or ``npy`` (the classic pickled dict).
        layout: of ``npy`` alone: a layer is a dict of its weights, or a list of them.
        progress: called from this thread with the count of bytes written since the last call.

    Returns:
        SHA-256 of the file.

    Raises:
        OutputError: the file cannot be written.
        ValueError: another format, a name that contains ``/``, or a weight whose parts do not make up its shape.
    """
    if format not in ("h5", "npz", "npy"):
        raise ValueError(f"weights are written as h5, npz or npy, not as {format!r}")
    wrong = [name for layer, own in weights.items() for name in (layer, *own) if "/" in name or not name]
    if wrong:
        raise ValueError(f"names must be neither empty nor contain '/': {wrong}")
    with atomic_writer(path) as file:
        match format:
            case "h5":
                return write_h5(file, weights, progress)
            case "npz":
                write_npz(file, weights, progress)
            case "npy":
                write_npy(file, weights, progress, lists=layout == "lists")
        file.flush()
        return hash_file(file.name)


def running_total(progress: Callable[[int, int], None] | None, total: int) -> Callable[[int], None] | None:
    """A step for `write_weights` that tells ``progress`` (bytes written so far, bytes in all); None for None."""
    if progress is None:
        return None
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return step
