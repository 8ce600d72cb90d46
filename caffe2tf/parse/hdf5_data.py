"""The datasets of HDF5 files that a definition names as its data: their shapes alone."""

from __future__ import annotations

from pathlib import Path

from caffe2tf.errors import ParseError

__all__ = ["read_dataset_shapes"]


def read_dataset_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each dataset at the top of an HDF5 file, by name.

    Raises:
        ParseError: the file cannot be read as HDF5.
    """
    import h5py  # noqa: PLC0415 - slow to import, and few networks need it

    try:
        with h5py.File(path, "r") as file:
            return {str(name): tuple(item.shape) for name, item in file.items() if isinstance(item, h5py.Dataset)}
    except (OSError, RuntimeError, KeyError) as e:
        raise ParseError(f"{path}: this is no readable HDF5 file ({e})") from e
