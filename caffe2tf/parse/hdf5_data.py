"""Shapes of the datasets in the HDF5 files that an HDF5Data layer reads."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from caffe2tf.errors import ParseError

if TYPE_CHECKING:
    from caffe2tf.parse.hdf5_listing import Tree

__all__ = ["read_dataset_shapes"]


def read_dataset_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each dataset in the root group of an HDF5 file, by name.

    Datasets that are empty (without a shape) or whose values are in other files are left out.

    Raises:
        ParseError: The file cannot be read as HDF5.
    """
    from caffe2tf.parse.hdf5_listing import list_hdf5  # noqa: PLC0415 - slow to import, and few networks need it

    try:
        size = path.stat().st_size
    except OSError as error:
        raise ParseError(f"{path}: the file cannot be read: {error.strerror}") from None
    return {name: tuple(shape) for name, shape in list_hdf5(path, size, _shapes).items()}


def _shapes(tree: Tree) -> dict[str, tuple[int, ...]]:
    import h5py  # noqa: PLC0415 - as in `read_dataset_shapes`

    from caffe2tf.parse.hdf5_listing import require_inside  # noqa: PLC0415 - as in `read_dataset_shapes`

    found = {}
    for name in tree.root:
        with suppress(ParseError, KeyError):  # it is in another file, or its link leads nowhere
            item = tree.child(tree.root, name)
            if isinstance(item, h5py.Dataset) and require_inside(item, name) and item.shape is not None:
                found[str(name)] = item.shape
    return found
