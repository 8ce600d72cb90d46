"""Shapes of the datasets in the HDF5 files that an HDF5Data layer reads."""

from __future__ import annotations

from pathlib import Path

from caffe2tf.errors import ParseError

__all__ = ["read_dataset_shapes"]


def read_dataset_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each dataset in the root group of an HDF5 file, by name.

    Raises:
        ParseError: The file cannot be read as HDF5.
    """
    import h5py  # noqa: PLC0415 - slow to import, and few networks need it

    try:
        with h5py.File(path, "r") as file:
            return {str(name): tuple(item.shape) for name, item in file.items() if isinstance(item, h5py.Dataset)}
    except (OSError, RuntimeError, KeyError) as e:
        raise ParseError(f"{path}: this file cannot be read as HDF5 ({e}); copy or download it again") from e
