"""Trained layers of Caffe's HDF5 files (.caffemodel.h5).

Each layer is a group `data/<layer name>` with datasets `0`, `1`, ... for its blobs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from caffe2tf.errors import ParseError
from caffe2tf.parse.blobs import Blob, Pages, check_shape, view
from caffe2tf.parse.caffemodel import TrainedLayer
from caffe2tf.parse.hdf5_listing import Tree, hdf5_errors, list_hdf5, require_inside

if TYPE_CHECKING:
    from caffe2tf.parse.mapped import MappedFile

__all__ = ["Hdf5Weights", "read_hdf5"]

_INSTEAD: Final = "pass the trained weights (.caffemodel.h5 or .caffemodel)"
# Limits far above any Caffe file. Links can make a tree of groups endless.
_DEPTH_LIMIT: Final = 32
_LINK_LIMIT: Final = 100_000
_BLOB_LIMIT: Final = 1024
_COMPRESSION_LIMIT: Final = 2000  # the highest ratio of deflate is 1032 : 1


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
        with hdf5_errors(self._where):
            values = np.asarray(self._dataset[()]).reshape(-1)
            values = values.astype(_plain(values.dtype), copy=False)
        values.flags.writeable = False
        return values


def read_hdf5(file: MappedFile) -> Hdf5Weights:
    """Read all layers of an HDF5 weight file, including those without blobs. The file does not hold their types.

    A layer with slashes in its name is a group inside groups. Caffe writes a shared blob only in the layer that owns
    it; in the other layers, an absent `Blob` takes its place unless it would be the last one.

    Raises:
        ParseError: The file is another kind of HDF5 file, is damaged, or does not hold all values itself.
    """
    size = len(file.map)
    listed = list_hdf5(file.path, size, lambda tree: list(_layers(tree, size)))
    root = None
    if any(offset is None for _, blobs in listed for _, _, _, offset in blobs):
        with hdf5_errors(str(file.path)):
            root = h5py.File(file.path, "r")
    layers = tuple(_layer(file, root, name, blobs) for name, blobs in listed)
    return Hdf5Weights(layers=layers, file=root)


_Listed = tuple[int, Sequence[int], str, int | None]
"""One dataset: its number, shape, number type, and offset in the file if the values can be memory-mapped."""


def _layer(file: MappedFile, root: h5py.File | None, name: str, listed: Sequence[_Listed]) -> TrainedLayer:
    found = {index: _blob(file, root, f"{name}/{index}", entry) for index, *entry in listed}
    absent = Blob(shape=(0,), data=np.empty(0, np.float32), absent=True)
    blobs = tuple(found.get(i, absent) for i in range(max(found, default=-1) + 1))
    return TrainedLayer(name=name, type="", blobs=blobs, hdf5=True)


def _blob(file: MappedFile, root: h5py.File | None, name: str, entry: Sequence[Any]) -> Blob:
    shape, dtype, offset = tuple(entry[0]), np.dtype(entry[1]), entry[2]
    if offset is None and root is not None:
        layer, _, index = name.rpartition("/")
        where = f"{file.path}: layer {layer!r}, blob {index}"
        with hdf5_errors(where):
            return _StoredBlob(dataset=root[f"data/{name}"], where=where)
    count = math.prod(shape)
    values = view(file.map, dtype, offset, count, dtype.itemsize)
    return Blob(shape=shape, data=values, pages=Pages(map=file.map, start=offset, stop=offset + values.nbytes))


def _layers(tree: Tree, size: int) -> Iterator[tuple[str, list[_Listed]]]:
    """Yield every group that may be a layer, with its path below `data` as the name, and its datasets.

    Args:
        tree: The file.
        size: The number of bytes of the file.
    """
    links = 0
    waiting = [("", _data_group(tree), 0)]
    while waiting:
        prefix, parent, depth = waiting.pop()
        listed: list[_Listed] = []
        groups = []
        for child in parent:
            links += 1
            if depth > _DEPTH_LIMIT or links > _LINK_LIMIT:
                what = "its groups are more, or nested deeper, than in any Caffe file"
                raise ParseError(f"{tree.path}: {what}; {_INSTEAD}")
            item = tree.child(parent, child)
            if isinstance(item, h5py.Group):
                groups.append((f"{prefix}{child}/", item, depth + 1))
            elif isinstance(item, h5py.Dataset) and prefix:
                listed.append(_dataset(item, child, f"{tree.path}: layer {prefix[:-1]!r}, blob {child}", size))
        if prefix:
            yield prefix[:-1], listed
        waiting += reversed(groups)


def _data_group(tree: Tree) -> h5py.Group:
    path, data = tree.path, tree.find("data")
    if isinstance(data, h5py.Group):
        return data
    if isinstance(learned := tree.find("learned_net"), h5py.Dataset):
        raise ParseError(f"{path}: this is a solver state; pass {_learned_net(learned)}, which holds the weights")
    if "layer_names" in tree.root.attrs or tree.find("model_weights") or tree.find("layers"):
        raise ParseError(f"{path}: this holds Keras weights, not Caffe's; {_INSTEAD}")
    if data is not None:
        raise ParseError(f"{path}: this file holds input data (HDF5Data), not weights; {_INSTEAD}")
    raise ParseError(f"{path}: this HDF5 file has no group `data`, so it holds no Caffe weights; {_INSTEAD}")


def _learned_net(dataset: h5py.Dataset) -> str:
    require_inside(dataset, f"{dataset.name}")
    if dataset.shape != ():
        return "the .caffemodel.h5 that was saved with it"
    learned = dataset[()]
    name = learned.decode("utf-8", "replace") if isinstance(learned, bytes) else str(learned)
    return f"the file that it names, {name!r}"


def _dataset(dataset: h5py.Dataset, name: str, where: str, size: int) -> _Listed:
    """Check a dataset of a layer and return what is needed to read it."""
    if not (name.isascii() and name.isdigit() and str(int(name)) == name and int(name) < _BLOB_LIMIT):
        raise ParseError(f"{where}: the datasets of a layer must be named 0, 1, 2, ...; rename this one")
    stored = require_inside(dataset, where)
    shape, dtype = dataset.shape, dataset.dtype
    if shape is None or dtype.kind not in "fiu":
        raise ParseError(f"{where}: it holds {dtype}, not numbers; {_INSTEAD}")
    try:
        count = check_shape(shape)
    except ValueError as error:
        raise ParseError(f"{where}: {error}; copy or download the file again") from None
    offset = _offset(dataset, stored)
    if offset is not None and offset + count * dtype.itemsize > size:
        raise ParseError(f"{where}: its values extend beyond the end of the file; copy or download it again")
    if offset is None:
        _require_stored(dataset, stored, where, size)
    return int(name), shape, dtype.str, offset


def _require_stored(dataset: h5py.Dataset, stored: h5py.h5p.PropDCID, where: str, size: int) -> None:
    """Raise an error if a dataset, or a piece in which it is read, declares more than the file can hold."""
    most = min(dataset.id.get_storage_size(), size) * (_COMPRESSION_LIMIT if stored.get_nfilters() else 1)
    chunk = math.prod(stored.get_chunk()) if stored.get_layout() == h5py.h5d.CHUNKED and dataset.size else 0
    if max(dataset.size, chunk) * dataset.dtype.itemsize > most:
        what = f"it has {dataset.size} values, but the file stores fewer"
        raise ParseError(f"{where}: {what}; copy or download it again")


def _offset(dataset: h5py.Dataset, stored: h5py.h5p.PropDCID) -> int | None:
    """Return the offset of the values in the file; None if they are not contiguous or not float32 or float64."""
    plain = dataset.dtype == _plain(dataset.dtype) and dataset.dtype.isnative
    if not plain or stored.get_layout() != h5py.h5d.CONTIGUOUS or dataset.file.userblock_size:
        return None
    offset = dataset.id.get_offset()
    return None if offset is None else int(offset)


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of a blob in memory: Caffe reads integers and float16 as float32."""
    wide = dtype.kind == "f" and dtype.itemsize > 4
    return np.dtype(np.float64 if wide else np.float32)
