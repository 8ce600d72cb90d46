"""Mean images, as written by Caffe's compute_image_mean (.binaryproto)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from caffe2tf.errors import ParseError
from caffe2tf.parse.blobs import read_blob
from caffe2tf.parse.caffemodel import kind_of
from caffe2tf.parse.mapped import is_hdf5, map_file, require_binary
from caffe2tf.parse.wire import Wire, WireError
from caffe2tf.proto import caffe_pb2

if TYPE_CHECKING:
    import os

__all__ = ["read_mean"]

_INSTEAD: Final = "pass the mean image (.binaryproto)"


def read_mean(path: str | os.PathLike[str]) -> npt.NDArray[np.float32]:
    """Read a mean image.

    Args:
        path: A .binaryproto file, which holds one BlobProto.

    Returns:
        A new array, (channels, height, width) float32; (n, channels, height, width) if the file holds several images.

    Raises:
        ParseError: The file cannot be read, is another kind of file, is damaged, or does not hold an image.
    """
    file = map_file(Path(path), what="mean image", suffixes=(".binaryproto",))
    try:
        if is_hdf5(file.map):
            raise ParseError(f"{path}: this is an HDF5 file; {_INSTEAD}")
        require_binary(file, instead=_INSTEAD)
        wire = Wire(file.map)
        try:
            _require_blob(path, wire)
            values = _own(read_blob(wire, 0, len(file.map)).array())
        except WireError as error:
            raise ParseError(f"{path}: mean image: {error}") from None
    finally:
        file.close()
    if values.ndim == 4 and values.shape[0] == 1:
        values = values[0]
    if values.ndim not in {3, 4} or not values.size:
        shape = "x".join(map(str, values.shape)) or "scalar"
        raise ParseError(f"{path}: a mean image is channels x height x width, and this blob is {shape}; {_INSTEAD}")
    return values


def _own(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.array(values, dtype=np.float32, order="C")


def _require_blob(path: str | os.PathLike[str], wire: Wire) -> None:
    fields = list(wire.fields(0, len(wire.buffer)))
    kind = kind_of(fields)
    if kind is caffe_pb2.NetParameter:
        raise ParseError(f"{path}: this is a network (.caffemodel), not a mean image; {_INSTEAD}")
    if kind is caffe_pb2.SolverState:
        raise ParseError(f"{path}: this is a solver state, not a mean image; {_INSTEAD}")
