"""Writes the weight file of Keras 3, ``.weights.h5``, which only a built model can write."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from caffe2tf.artifacts.building import build_model
from caffe2tf.artifacts.contract import Job, Writer
from caffe2tf.artifacts.weights.h5 import with_number
from caffe2tf.artifacts.weights.weight_file import Weights
from caffe2tf.atomic import whole_file
from caffe2tf.emit import Plan
from caffe2tf.errors import OutputError

if TYPE_CHECKING:
    import keras
    import numpy.typing as npt


__all__ = ["WRITER", "save_keras_weights"]

_EACH = 16 << 10
"""The most bytes that a weight takes besides its values. In the file of GoogLeNet, groups and attributes take 2 KiB."""


def save_keras_weights(model: keras.Model, target: Path, converted: Weights) -> None:
    """Let the model save its weights, whole or not at all, and check that the file has the right arrays in each layer.

    Keras stores the weights by class and position, and the layer name only as an attribute.

    Args:
        model: the emitted model with its weights.
        target: the file, whose name ends in ``.weights.h5``.
        converted: the expected weights, by layer name and weight name in the order of the Keras layer.

    Raises:
        OutputError: the file cannot be written.
    """
    with whole_file(target, suffix=".weights.h5") as temporary:
        _want_space(temporary.parent, converted)
        try:
            model.save_weights(temporary)
            _check(temporary, converted)
        except RuntimeError as error:  # HDF5 reports a full disk in this way, too
            raise with_number(error) from error


def _want_space(folder: Path, converted: Weights) -> None:
    """Check that the file fits on the disk: HDF5 crashes the interpreter if a file that Keras has open cannot grow.

    Raises:
        OSError: the file would be larger than the free space.
    """
    wanted = sum(4 * weight.size + _EACH for own in converted.values() for weight in own.values()) + _EACH
    if shutil.disk_usage(folder).free < wanted:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _check(path: Path, converted: Weights) -> None:
    found: dict[str, list[npt.NDArray[Any]]] = {}

    def visit(_: str, item: object) -> None:
        if isinstance(item, h5py.Group) and "name" in item.attrs:
            found[str(item.attrs["name"])] = [item[k][()] for k in sorted(item, key=int)]

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    for layer, own in converted.items():
        arrays = found.get(layer, [])
        same = len(arrays) == len(own) and all(
            np.array_equal(a, w.array(), equal_nan=True) for a, w in zip(arrays, own.values(), strict=True)
        )
        if not same:
            raise OutputError(f"{path.name}: Keras stored other weights for layer {layer!r} than were converted")


class KerasWriter(Writer):
    """Writes ``<net>.weights.h5`` by building the emitted model."""

    def applies(self, plan: Plan) -> bool:
        """Return whether the network has weights."""
        return bool(plan.program.owners)

    def write(self, job: Job, target: Path) -> None:
        """Build the model and let Keras save its weights."""
        save_keras_weights(build_model(job.plan), target, job.weights)


WRITER = KerasWriter()
