"""Trained layers of Caffe's HDF5 files (.caffemodel.h5).

Each layer is a group `data/<layer name>` with datasets `0`, `1`, ... for its blobs.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from caffe2tf.errors import ParseError
from caffe2tf.parse.blobs import Blob, Pages, check_shape, view
from caffe2tf.parse.caffemodel import TrainedLayer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from caffe2tf.parse.mapped import MappedFile

__all__ = ["Hdf5Weights", "read_hdf5"]

_INSTEAD: Final = "pass the trained weights (.caffemodel.h5 or .caffemodel)"
# Limits far above any Caffe file. Links can make a tree of groups endless.
_DEPTH_LIMIT: Final = 32
_LINK_LIMIT: Final = 100_000
_BLOB_LIMIT: Final = 1024
_COMPRESSION_LIMIT: Final = 2000  # the highest ratio of deflate is 1032 : 1
_WHAT_LIBHDF5_RAISES: Final = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, SystemError)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hdf5Weights:
    """The layers of one file.

    Attributes:
        layers: The layers.
        file: The open file if some datasets cannot be memory-mapped and are read on demand; otherwise None.
    """

    layers: tuple[TrainedLayer, ...]
    file: h5py.File | None

    def close(self) -> None:
        """Close the HDF5 file, if it is open."""
        if self.file is not None:
            self.file.close()


class _StoredBlob(Blob):
    """A blob that is read from the file at each access: compressed, chunked, or of another number type."""

    __slots__ = ("_dataset", "_where")
    _dataset: h5py.Dataset
    _where: str

    def __init__(self, *, dataset: h5py.Dataset, where: str) -> None:
        fields = {"shape": tuple(dataset.shape), "legacy": False, "absent": False, "pages": None}
        for name, value in (*fields.items(), ("_dataset", dataset), ("_where", where)):
            object.__setattr__(self, name, value)  # the base is frozen; `data` is the property below

    @property
    def data(self) -> npt.NDArray[Any]:
        """The values, read from the file at each access."""
        with _hdf5_errors(self._where):
            values = np.asarray(self._dataset[()]).reshape(-1)
            values = values.astype(_plain(values.dtype), copy=False)
        values.flags.writeable = False
        return values


def read_hdf5(file: MappedFile) -> Hdf5Weights:
    """Read all layers of an HDF5 weight file, including those without blobs. The file does not hold their types.

    A layer with slashes in its name is a group inside groups. Caffe writes a shared blob only in the layer that owns
    it; in the other layers, an absent `Blob` takes its place unless it would be the last one.

    Raises:
        ParseError: The file is another kind of HDF5 file, or is damaged.
    """
    with _hdf5_errors(str(file.path)):
        root = h5py.File(file.path, "r")
    try:
        with _hdf5_errors(str(file.path)):
            data = _data_group(file.path, root)
            layers = tuple(_layer(file, name, group) for name, group in _layer_groups(file.path, data))
    except ParseError:
        root.close()
        raise
    if any(isinstance(blob, _StoredBlob) for layer in layers for blob in layer.blobs):
        return Hdf5Weights(layers=layers, file=root)
    root.close()
    return Hdf5Weights(layers=layers, file=None)


@contextmanager
def _hdf5_errors(where: str) -> Iterator[None]:
    try:
        yield
    except _WHAT_LIBHDF5_RAISES as error:
        reason = str(error.args[0] if error.args else error)
        what = f"{where}: HDF5 cannot read this: {reason}; copy or download the file again"
        raise ParseError(what) from None


def _data_group(path: Path, root: h5py.File) -> h5py.Group:
    data = root.get("data")
    if isinstance(data, h5py.Group):
        return data
    if "learned_net" in root:
        learned = root["learned_net"][()]
        name = learned.decode("utf-8", "replace") if isinstance(learned, bytes) else str(learned)
        raise ParseError(
            f"{path}: this is a solver state; pass the file that it names, {name!r}, which holds the weights"
        )
    if "layer_names" in root.attrs or "model_weights" in root or "layers" in root:
        raise ParseError(f"{path}: this holds Keras weights, not Caffe's; {_INSTEAD}")
    if data is not None:
        raise ParseError(f"{path}: this file holds input data (HDF5Data), not weights; {_INSTEAD}")
    raise ParseError(f"{path}: this HDF5 file has no group `data`, so it holds no Caffe weights; {_INSTEAD}")


def _layer_groups(path: Path, data: h5py.Group) -> Iterator[tuple[str, h5py.Group]]:
    """Yield every group that may be a layer, with its path below `data` as the name."""
    links = 0
    waiting = [("", data, 0)]
    while waiting:
        prefix, parent, depth = waiting.pop()
        groups = []
        for child in parent:
            links += 1
            if depth >= _DEPTH_LIMIT or links > _LINK_LIMIT:
                raise ParseError(f"{path}: its groups are more, or nested deeper, than in any Caffe file; {_INSTEAD}")
            if isinstance(parent[child], h5py.Group):
                groups.append((f"{prefix}{child}", parent[child]))
        yield from groups
        waiting += [(f"{name}/", group, depth + 1) for name, group in reversed(groups)]


def _layer(file: MappedFile, name: str, group: h5py.Group) -> TrainedLayer:
    found: dict[int, Blob] = {}
    for child in group:
        dataset = group[child]
        if not isinstance(dataset, h5py.Dataset):
            continue
        where = f"{file.path}: layer {name!r}, blob {child}"
        if not (child.isascii() and child.isdigit() and str(int(child)) == child and int(child) < _BLOB_LIMIT):
            raise ParseError(f"{where}: the datasets of a layer must be named 0, 1, 2, ...; rename this one")
        found[int(child)] = _blob(file, dataset, where)
    absent = Blob(shape=(0,), data=np.empty(0, np.float32), absent=True)
    blobs = tuple(found.get(i, absent) for i in range(max(found, default=-1) + 1))
    return TrainedLayer(name=name, type="", blobs=blobs, hdf5=True)


def _blob(file: MappedFile, dataset: h5py.Dataset, where: str) -> Blob:
    shape = dataset.shape
    if shape is None or dataset.dtype.kind not in "fiu":
        raise ParseError(f"{where}: it holds {dataset.dtype}, not numbers; {_INSTEAD}")
    try:
        count = check_shape(shape)
    except ValueError as error:
        raise ParseError(f"{where}: {error}; copy or download the file again") from None
    size = count * dataset.dtype.itemsize
    offset = _offset(file, dataset)
    if offset is not None:
        if offset + size > len(file.map):
            raise ParseError(f"{where}: its values extend beyond the end of the file; copy or download it again")
        values = view(file.map, dataset.dtype, offset, count, dataset.dtype.itemsize)
        return Blob(shape=shape, data=values, pages=Pages(map=file.map, start=offset, stop=offset + size))
    stored = dataset.id.get_storage_size() * _COMPRESSION_LIMIT
    if size > stored and not dataset.is_virtual:
        raise ParseError(f"{where}: it has {count} values, but the file stores fewer; copy or download it again")
    return _StoredBlob(dataset=dataset, where=where)


def _offset(file: MappedFile, dataset: h5py.Dataset) -> int | None:
    """Return the offset of the values in the file; None if they are not contiguous or not float32 or float64."""
    plain = dataset.dtype == _plain(dataset.dtype) and dataset.dtype.isnative
    layout = dataset.id.get_create_plist().get_layout()
    elsewhere = dataset.external or dataset.file.filename != str(file.path) or dataset.file.userblock_size
    if not plain or layout != h5py.h5d.CONTIGUOUS or elsewhere:
        return None
    offset = dataset.id.get_offset()
    return None if offset is None else int(offset)


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of a blob in memory: Caffe reads integers and float16 as float32."""
    wide = dtype.kind == "f" and dtype.itemsize > 4
    return np.dtype(np.float64 if wide else np.float32)
