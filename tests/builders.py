"""Builders of Caffe files for tests: definitions as text, weight files in each format, and mean images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from caffe2tf.proto import caffe_pb2

__all__ = [
    "blob",
    "caffemodel",
    "input_layer",
    "input_layers",
    "layer",
    "write_caffemodel",
    "write_hdf5",
    "write_mean_image",
    "write_prototxt",
]

Blobs = Mapping[str, Sequence[npt.ArrayLike]] | Iterable[tuple[str, Sequence[npt.ArrayLike]]]
"""Trained blobs by layer name; pairs if several layers have the same name."""


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
    """Return the text of one layer. By default its only top has the name of the layer."""
    ends = [f'bottom: "{b}"' for b in bottoms] + [f'top: "{t}"' for t in ([name] if tops is None else tops)]
    return f'layer {{ name: "{name}" type: "{type_}" {" ".join(ends)} {parameters} }}\n'


def blob(values: npt.ArrayLike, *, legacy: bool = False) -> caffe_pb2.BlobProto:
    """Return the message of a blob.

    Args:
        values: the values, written as float32.
        legacy: write the shape as four numbers (num, channels, height, width), as Caffe did before it had `shape`.
    """
    array = np.asarray(values, np.float32)
    message = caffe_pb2.BlobProto(data=array.reshape(-1).tolist())
    if legacy:
        message.num, message.channels, message.height, message.width = (1,) * (4 - array.ndim) + array.shape
    else:
        message.shape.SetInParent()  # a blob without axes keeps its empty shape
        message.shape.dim.extend(array.shape)
    return message


def caffemodel(blobs: Blobs, *, types: Mapping[str, str] | None = None, legacy: bool = False) -> bytes:
    """Return the bytes of a .caffemodel.

    Args:
        blobs: trained blobs by layer name, written as float32.
        types: types of layers by name; the other layers have none, because no reader needs it.
        legacy: write shapes as four numbers (num, channels, height, width).
    """
    net = caffe_pb2.NetParameter()
    for name, arrays in blobs.items() if isinstance(blobs, Mapping) else blobs:
        message = net.layer.add(name=name, type=(types or {}).get(name, ""))
        message.blobs.extend(blob(array, legacy=legacy) for array in arrays)
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
    """Write a .caffemodel.h5 as Caffe does, a group per layer and a dataset per blob; return its path.

    Args:
        path: the file.
        layers: blobs by layer name and index; Caffe omits the blobs that a layer shares with an earlier one.
    """
    with h5py.File(path, "w") as file:
        for name, blobs in layers.items():
            group = file.create_group(f"data/{name}")
            for index, array in blobs.items():
                group.create_dataset(str(index), data=np.asarray(array, np.float32))
    return path


def write_mean_image(path: Path, values: npt.ArrayLike) -> Path:
    """Write a mean image as compute_image_mean does, with the shape as four numbers; return its path.

    Args:
        path: the file; missing folders are created.
        values: the image, (C, H, W) or (N, C, H, W).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blob(values, legacy=True).SerializeToString())
    return path
