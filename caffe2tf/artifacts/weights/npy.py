"""Writes the ``.npy`` weight file: a pickled dict by layer name, as AlexNet weights are published.

``np.load(path, allow_pickle=True, encoding="latin1").item()`` reads it. The pickle is written opcode by opcode:
Python's pickler would need each weight whole in memory, and uses module names of the installed NumPy, which an older
NumPy cannot read. Only opcodes of protocol 3 are used, except for a weight of 4 GiB or more, which needs protocol 4.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from caffe2tf.artifacts.weights.place import FLOAT32, Place, fill
from caffe2tf.artifacts.weights.weight_file import Layout, Weights, WeightWriter

if TYPE_CHECKING:
    from caffe2tf.ir.weight import Weight

__all__ = ["WRITER", "write_npy"]

CLASSIC_NAMES = {"kernel": "weights", "bias": "biases"}
MAX_32 = 0xFFFFFFFF

RECONSTRUCT = pickle.GLOBAL + b"numpy.core.multiarray\n_reconstruct\n"
NDARRAY = pickle.GLOBAL + b"numpy\nndarray\n"
DTYPE = pickle.GLOBAL + b"numpy\ndtype\n"


@dataclass(slots=True)
class _Layout:
    """The file without the values: the bytes between them, and the places of the values."""

    end: int = 0
    pieces: list[tuple[int, bytes]] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def add(self, *data: bytes) -> None:
        piece = b"".join(data)
        self.pieces.append((self.end, piece))
        self.end += len(piece)

    def add_values(self, weight: Weight) -> None:
        """Add an array as NumPy pickles it: an empty array, then its state."""
        size = weight.size * FLOAT32.itemsize
        self.add(_empty_array(), pickle.MARK, _integer(1), _shape(weight.shape), _dtype("f4", "<", flags=0))
        opcode, width = (pickle.BINBYTES, "<I") if size <= MAX_32 else (pickle.BINBYTES8, "<Q")
        self.add(pickle.NEWFALSE, opcode, struct.pack(width, size))
        self.places.append(Place(weight=weight, offset=self.end))
        self.end += size
        self.add(pickle.TUPLE, pickle.BUILD)


def write_npy(
    file: BinaryIO,
    weights: Weights,
    progress: Callable[[int], None] | None = None,
    *,
    lists: bool = False,
) -> None:
    """Write a dict of layers, in the given order.

    Args:
        file: an open, empty file.
        weights: by layer name and weight name.
        progress: called with the number of bytes written since the last call.
        lists: whether each layer is the list of its weights, in their order. Otherwise it is a dict, in which
            ``kernel`` is renamed to ``weights`` and ``bias`` to ``biases``.

    Raises:
        OSError: the file cannot be written.
    """
    layout = _Layout()
    layout.add(_npy_header(), pickle.PROTO, b"\3")
    layout.add(_empty_array(), pickle.MARK, _integer(1), _shape(()), _dtype("O8", "|", flags=63), pickle.NEWFALSE)
    layout.add(pickle.EMPTY_LIST, pickle.EMPTY_DICT)  # the one object of an array without axes: the dict
    for layer, own in weights.items():
        layout.add(_text(layer), pickle.EMPTY_LIST if lists else pickle.EMPTY_DICT)
        for name, weight in own.items():
            layout.add(b"" if lists else _text(CLASSIC_NAMES.get(name, name)))
            layout.add_values(weight)
            layout.add(pickle.APPEND if lists else pickle.SETITEM)
        layout.add(pickle.SETITEM)
    layout.add(pickle.APPEND, pickle.TUPLE, pickle.BUILD, pickle.STOP)
    fill(file.fileno(), layout.places, progress)
    for offset, piece in layout.pieces:
        file.seek(offset)
        file.write(piece)


def _npy_header() -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|O", "fortran_order": False, "shape": ()})
    return buffer.getvalue()


def _empty_array() -> bytes:
    """The call ``_reconstruct(ndarray, (0,), b"b")``."""
    kind = pickle.SHORT_BINBYTES + b"\1b"
    return RECONSTRUCT + NDARRAY + _shape((0,)) + kind + pickle.TUPLE3 + pickle.REDUCE


def _dtype(code: str, order: str, *, flags: int) -> bytes:
    """The call ``dtype(code, False, True)`` and the state that NumPy gives it: version, byte order, plain fields."""
    call = DTYPE + _text(code) + pickle.NEWFALSE + pickle.NEWTRUE + pickle.TUPLE3 + pickle.REDUCE
    state = [_integer(3), _text(order), pickle.NONE * 3, _integer(-1) * 2, _integer(flags)]
    return call + pickle.MARK + b"".join(state) + pickle.TUPLE + pickle.BUILD


def _shape(shape: tuple[int, ...]) -> bytes:
    return pickle.MARK + b"".join(map(_integer, shape)) + pickle.TUPLE


def _integer(value: int) -> bytes:
    if -(1 << 31) <= value < 1 << 31:
        return pickle.BININT + struct.pack("<i", value)
    return pickle.LONG1 + b"\x08" + struct.pack("<q", value)


def _text(text: str) -> bytes:
    data = text.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(data)) + data


class NpyWriter(WeightWriter):
    """Writes ``<net>.npy``, whose layers are dicts or lists."""

    def fill(self, file: BinaryIO, weights: Weights, layout: Layout, progress: Callable[[int], None] | None) -> None:
        """Write the file."""
        write_npy(file, weights, progress, lists=layout == "lists")


WRITER = NpyWriter()
