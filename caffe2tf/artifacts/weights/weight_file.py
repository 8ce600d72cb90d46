"""What all weight files have in common: whole or not at all, identical bytes on each run, no TensorFlow."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Literal

from caffe2tf.artifacts.contract import Job, Writer
from caffe2tf.artifacts.hashing import hash_file
from caffe2tf.artifacts.kinds import find, plain_weight_files
from caffe2tf.atomic import atomic_writer
from caffe2tf.emit import Plan
from caffe2tf.ir.weight import Weight

__all__ = ["Layout", "WeightWriter", "Weights", "running_total", "write_weights"]

Weights = Mapping[str, Mapping[str, Weight]]
"""Weights by Keras layer name, then by weight name in the order of the Keras layer."""

Layout = Literal["dicts", "lists"]


class WeightWriter(Writer):
    """Writes a weight file without TensorFlow, at about the speed of the disk."""

    def applies(self, plan: Plan) -> bool:
        """Return whether the network has weights."""
        return bool(plan.program.owners)

    def size(self, job: Job) -> int:
        """Return the bytes of all weights as float32."""
        return sum(4 * weight.size for own in job.weights.values() for weight in own.values())

    def write(self, job: Job, target: Path) -> str:
        """Write the weights; return the SHA-256 of the file."""
        return self.write_file(target, job.weights, progress=job.progress)

    def write_file(
        self, path: Path, weights: Weights, *, layout: Layout = "dicts", progress: Callable[[int], None] | None = None
    ) -> str:
        """Write the weights to a file, as `write_weights` does."""
        wrong = [name for layer, own in weights.items() for name in (layer, *own) if "/" in name or not name]
        if wrong:
            raise ValueError(f"names must be neither empty nor contain '/': {wrong}")
        with atomic_writer(path) as file:
            digest = self.fill(file, weights, layout, progress)
            file.flush()
            return digest if digest is not None else hash_file(file.name)

    @abc.abstractmethod
    def fill(
        self, file: BinaryIO, weights: Weights, layout: Layout, progress: Callable[[int], None] | None
    ) -> str | None:
        """Write the weights to an open, empty file; return its SHA-256 if it is known.

        Raises:
            OSError: the file cannot be written.
        """


def write_weights(
    path: str | os.PathLike[str],
    weights: Weights,
    *,
    format: str,  # noqa: A002 - the usual word for it
    layout: Layout = "dicts",
    progress: Callable[[int], None] | None = None,
) -> str:
    """Write all weights of a model to one file, whole or not at all, and release their sources on the way.

    Writing the same weights twice gives identical bytes.

    Args:
        path: the file; it is replaced if it exists.
        weights: by Keras layer name, then by weight name in the order of the Keras layer; names without ``/``.
        format: name of a kind of weight file that is written without TensorFlow: ``h5``, ``npz`` or ``npy``.
        layout: for ``npy`` only: each layer is a dict of its weights, or a list of them.
        progress: called from this thread with the number of bytes written since the last call.

    Returns:
        SHA-256 of the file.

    Raises:
        OutputError: the file cannot be written.
        ValueError: ``format`` is unknown, a name contains ``/``, or the parts of a weight do not add up to its shape.
    """
    names = [kind.name for kind in plain_weight_files()]
    if format not in names:
        raise ValueError(f"weights are written as {', '.join(names)}, not as {format!r}")
    writer = find(format).load_writer()
    if not isinstance(writer, WeightWriter):
        raise TypeError(f"the writer of {format!r} is not a WeightWriter")
    return writer.write_file(Path(path), weights, layout=layout, progress=progress)


def running_total(progress: Callable[[int, int], None] | None, total: int) -> Callable[[int], None] | None:
    """Return a function for the ``progress`` of a writer that calls ``progress`` with (bytes so far, bytes in all)."""
    if progress is None:
        return None
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return step
