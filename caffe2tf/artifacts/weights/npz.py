"""Writes a NumPy archive: entries ``layer/weight`` without compression, which ``numpy.load`` reads without pickle.

This module writes the ZIP format itself: ``zipfile`` can only write an entry from its start to its end, which does not
suit a transposition block by block, and would need each weight whole in memory.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from caffe2tf.artifacts.weights.place import FLOAT32, Place, fill
from caffe2tf.artifacts.weights.weight_file import Layout, Weights, WeightWriter

if TYPE_CHECKING:
    from caffe2tf.ir.weight import Weight

__all__ = ["WRITER", "write_npz"]

LIMIT_32 = 0xFFFFFFFF  # larger numbers go into a 64-bit field; their own field then has all bits set
LIMIT_16 = 0xFFFF
DATE = 0x0021  # 1 January 1980, the earliest date of the format, so that each run gives identical bytes
STORED = 0
UTF_8 = 0x0800  # flag: the name is UTF-8
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Entry:
    name: bytes
    header: bytes  # of the .npy inside
    weight: Weight
    offset: int  # of the local header in the file

    @property
    def size(self) -> int:
        return len(self.header) + self.weight.size * FLOAT32.itemsize

    @property
    def body(self) -> int:
        """The offset of the content."""
        return self.offset + len(self.local(0))

    def local(self, checksum: int) -> bytes:
        """Return the header before the content."""
        extra, size = b"", _word(self.size)
        if self.size >= LIMIT_32:
            extra = struct.pack("<HHQQ", 1, 16, self.size, self.size)
        fields = (b"PK\3\4", self._version, UTF_8, STORED, 0, DATE, checksum, size, size, len(self.name), len(extra))
        return struct.pack("<4s5H3I2H", *fields) + self.name + extra

    def central(self, checksum: int) -> bytes:
        """Return the record in the directory at the end."""
        large = [n for n in (self.size, self.size, self.offset) if n >= LIMIT_32]
        extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
        size, offset = _word(self.size), _word(self.offset)
        fields = (b"PK\1\2", self._version, self._version, UTF_8, STORED, 0, DATE, checksum, size, size)
        return struct.pack("<4s6H3I5H2I", *fields, len(self.name), len(extra), 0, 0, 0, 0, offset) + self.name + extra

    @property
    def _version(self) -> int:
        return 45 if self.size >= LIMIT_32 or self.offset >= LIMIT_32 else 20


def write_npz(
    file: BinaryIO,
    weights: Weights,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write the weights under ``layer/weight``, in the given order.

    Raises:
        OSError: the file cannot be written.
    """
    entries: list[_Entry] = []
    end = 0
    for layer, own in weights.items():
        for name, weight in own.items():
            entry = _Entry(name=f"{layer}/{name}.npy".encode(), header=_header(weight), weight=weight, offset=end)
            entries.append(entry)
            end = entry.body + entry.size
    fill(file.fileno(), [Place(weight=e.weight, offset=e.body + len(e.header)) for e in entries], progress)
    checksums = []
    for entry in entries:
        checksums.append(_checksum(file, entry))
        file.seek(entry.offset)
        file.write(entry.local(checksums[-1]) + entry.header)
    directory = b"".join(e.central(c) for e, c in zip(entries, checksums, strict=True))
    file.seek(end)
    file.write(directory + _end(len(entries), len(directory), end))


def _header(weight: Weight) -> bytes:
    buffer = io.BytesIO()
    description = {"descr": "<f4", "fortran_order": False, "shape": weight.shape}
    np.lib.format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()


def _checksum(file: BinaryIO, entry: _Entry) -> int:
    """Return the CRC of an entry. Its values are read back from the page cache."""
    checksum = zlib.crc32(entry.header)
    left = entry.weight.size * FLOAT32.itemsize
    buffer = memoryview(bytearray(min(CHUNK, left)))
    file.seek(entry.body + len(entry.header))
    while left:
        count = file.readinto(buffer[:left])  # type: ignore[attr-defined]
        checksum = zlib.crc32(buffer[:count], checksum)
        left -= count
    return checksum


def _end(count: int, size: int, offset: int) -> bytes:
    """Return the end of the directory, also in the 64-bit form if a number does not fit."""
    long = b""
    if count >= LIMIT_16 or size >= LIMIT_32 or offset >= LIMIT_32:
        long = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
        long += struct.pack("<4sIQI", b"PK\6\7", 0, offset + size, 1)
    half = count if count < LIMIT_16 else 0xFFFF
    return long + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, half, half, _word(size), _word(offset), 0)


def _word(number: int) -> int:
    """Return the content of a 32-bit field."""
    return number if number < LIMIT_32 else 0xFFFFFFFF


class NpzWriter(WeightWriter):
    """Writes ``<net>.npz``."""

    def fill(self, file: BinaryIO, weights: Weights, layout: Layout, progress: Callable[[int], None] | None) -> None:
        """Write the file."""
        del layout
        write_npz(file, weights, progress)


WRITER = NpzWriter()
