"""Writes the HDF5 weight file of earlier Keras: one group per layer, one dataset per weight.

Anyone can read it (``f["conv1"]["kernel"]``), and Keras' own ``model.load_weights`` takes it, by order or by name.
h5py lays out the file; the values are then written directly to the places that HDF5 has allocated for them.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

import h5py
import numpy as np

from caffe2tf.artifacts.hashing import TrailingHash
from caffe2tf.artifacts.weights.place import Place, fill
from caffe2tf.artifacts.weights.weight_file import Layout, Weights, WeightWriter
from caffe2tf.ir.weight import Weight

__all__ = ["WRITER", "with_number", "write_h5"]

ATTRIBUTE_LIMIT = 64512  # bytes: HDF5 stores an attribute in the object header, which has at most 64 KiB
PAGE = 4096


def write_h5(
    file: BinaryIO,
    weights: Weights,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Write the weights by layer name and weight name, both in the given order; return the SHA-256 of the file.

    Raises:
        OSError: the file cannot be written.
    """
    places = _lay_out(file.name, weights)
    with TrailingHash(file.name) as digest:
        fill(file.fileno(), places, progress, digest.settle)
        return digest.result()


def _lay_out(name: str, weights: Weights) -> list[Place]:
    """Write everything except the values; return the places of the values."""
    places: list[Place] = []
    try:
        # Aligned to pages, so that a write does not have to read the rest of a page first.
        with h5py.File(name, "w", locking=False, alignment_threshold=16 * PAGE, alignment_interval=PAGE) as root:
            _write_names(root, "layer_names", list(weights))
            root.attrs["backend"] = np.bytes_(b"tensorflow")
            root.attrs["keras_version"] = np.bytes_(b"3.0.0")
            for layer, own in weights.items():
                group = root.create_group(layer)
                _write_names(group, "weight_names", list(own))
                places += _allot(group, own)
    except (OSError, RuntimeError) as error:
        raise with_number(error) from error
    return places


def _allot(group: h5py.Group, weights: Mapping[str, Weight]) -> list[Place]:
    places = []
    for name, weight in weights.items():
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_layout(h5py.h5d.CONTIGUOUS)
        creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        creation.set_obj_track_times(False)
        space = h5py.h5s.create_simple(weight.shape) if weight.shape else h5py.h5s.create(h5py.h5s.SCALAR)
        dataset = h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F32LE, space, dcpl=creation)
        if weight.size:  # HDF5 allocates nothing for an empty dataset
            places.append(Place(weight=weight, offset=dataset.get_offset()))
    return places


def _write_names(group: h5py.Group, attribute: str, names: Sequence[str]) -> None:
    """Write a list of names as Keras does: if it is too large, split into ``attribute0``, ``attribute1``, ..."""
    encoded = np.asarray([name.encode() for name in names], dtype=np.bytes_ if names else "S1")
    count = 1
    chunks = [encoded]
    while any(chunk.nbytes > ATTRIBUTE_LIMIT for chunk in chunks):
        count += 1
        chunks = np.array_split(encoded, count)
    for number, chunk in enumerate(chunks):
        group.attrs[attribute if count == 1 else f"{attribute}{number}"] = chunk


def with_number(error: OSError | RuntimeError) -> OSError:
    """Return the error with the error number of the system, which HDF5 states only in the message."""
    number = getattr(error, "errno", None)
    if number is None:
        found = re.search(r"errno = (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
    return OSError(number, str(error))


class H5Writer(WeightWriter):
    """Writes ``<net>.h5``, and computes its digest while it is written."""

    def fill(
        self, file: BinaryIO, weights: Weights, layout: Layout, progress: Callable[[int], None] | None
    ) -> str | None:
        """Write the file."""
        del layout
        return write_h5(file, weights, progress)


WRITER = H5Writer()
