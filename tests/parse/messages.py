"""Messages of the protobuf wire format, byte by byte, for tests of the readers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from caffe2tf.proto import caffe_pb2

__all__ = ["field", "modern", "one_blob", "varint"]


def varint(value: int) -> bytes:
    """Return a number as a varint."""
    head = b""
    while value > 127:
        head += bytes([value & 127 | 128])
        value >>= 7
    return head + bytes([value])


def field(number: int, payload: bytes) -> bytes:
    """Return a length-delimited field: a message, a string or packed numbers."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def one_blob(blob: bytes, name: str = "fc") -> bytes:
    """Return a network of one layer with one blob, given as bytes."""
    return field(100, field(1, name.encode()) + field(2, b"InnerProduct") + field(7, blob))


def modern(shape: list[int], values: npt.ArrayLike) -> caffe_pb2.BlobProto:
    """Return a blob with a `shape`, which may differ from that of the values."""
    return caffe_pb2.BlobProto(shape=caffe_pb2.BlobShape(dim=shape), data=np.ravel(values).tolist())
