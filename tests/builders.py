"""Builders of Caffe files for tests: definitions as text, weight files in each of Caffe's forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from caffe2tf.proto import caffe_pb2

__all__ = ["caffemodel", "input_layer", "input_layers", "layer", "write_caffemodel", "write_hdf5", "write_prototxt"]

Blobs = Mapping[str, Sequence[npt.ArrayLike]] | Iterable[tuple[str, Sequence[npt.ArrayLike]]]
"""Trained blobs by layer name; as pairs where several layers have one name."""


def input_layer(name: str, shape: Sequence[int]) -> str:
    """Return the text of an Input layer."""
    dims = " ".join(f"dim: {n}" for n in shape)
    return layer("Input", name, tops=[name], parameters=f"input_param {{ shape {{ {dims} }} }}")


def input_layers(shapes: Mapping[str, Sequence[int]]) -> str:
    """Return the text of an Input layer for each blob."""
    return "".join(input_layer(name, shape) for name, shape in shapes.items())


def layer(
    type_: str, name: str, bottoms: Sequence[str] = (), tops: Sequence[str] | None = None, parameters: str = ""
) -> str:
    """Return the text of one layer; its top is called like the layer unless `tops` says otherwise."""
    ends = [f'bottom: "{b}"' for b in bottoms] + [f'top: "{t}"' for t in ([name] if tops is None else tops)]
    return f'layer {{ name: "{name}" type: "{type_}" {" ".join(ends)} {parameters} }}\n'


def caffemodel(blobs: Blobs, *, types: Mapping[str, str] | None = None, legacy: bool = False) -> bytes:
    """Return the bytes of a .caffemodel.

    Args:
        blobs: trained blobs by layer name, written as float32.
        types: types of layers, by name; the others state none, as no reader needs it.
        legacy: write shapes in the old form of four numbers (num, channels, height, width).
    """
    net = caffe_pb2.NetParameter()
    for name, arrays in blobs.items() if isinstance(blobs, Mapping) else blobs:
        message = net.layer.add(name=name, type=(types or {}).get(name, ""))
        for given in arrays:
            array = np.asarray(given, np.float32)
            blob = message.blobs.add(data=array.reshape(-1).tolist())
            if legacy:
                blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - array.ndim) + array.shape
            else:
                blob.shape.SetInParent()  # a blob without axes keeps its empty shape
                blob.shape.dim.extend(array.shape)
    return net.SerializeToString()


def write_prototxt(folder: Path, text: str, name: str = "net.prototxt") -> Path:
    """Write a definition; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def write_caffemodel(folder: Path, blobs: Blobs, name: str = "net.caffemodel", *, legacy: bool = False) -> Path:
    """Write a .caffemodel; return its path."""
    path = folder / name
    path.write_bytes(caffemodel(blobs, legacy=legacy))
    return path


def write_hdf5(path: Path, layers: Mapping[str, Mapping[int, npt.ArrayLike]]) -> Path:
    """Write a .caffemodel.h5 as Caffe does, a group for each layer and a dataset for each blob; return its path.

    Args:
        path: the file.
        layers: blobs by layer name and index; Caffe leaves out the blobs that a layer shares with an earlier one.
    """
    with h5py.File(path, "w") as file:
        for name, blobs in layers.items():
            group = file.create_group(f"data/{name}")
            for index, array in blobs.items():
                group.create_dataset(str(index), data=np.asarray(array, np.float32))
    return path
