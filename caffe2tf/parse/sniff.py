"""Finds out whether a file is a definition in text, a binary network, or something else."""

from __future__ import annotations

import re
from typing import Final

from caffe2tf.errors import ParseError
from caffe2tf.parse.caffemodel import kind_of
from caffe2tf.parse.mapped import MappedFile, is_hdf5, require_binary
from caffe2tf.parse.wire import DELIMITED, Wire, WireError
from caffe2tf.proto import caffe_pb2

__all__ = ["INSTEAD", "is_text", "require_binary_network"]

INSTEAD: Final = "pass the network definition (deploy.prototxt, train_val.prototxt or a .caffemodel)"

_HEAD: Final = 1024
_FIELD: Final = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s++|#[^\n]*+)*+[A-Za-z_]\w*+\s*+[:{<]")
_FOREIGN_TEXT: Final = (b"<!", b"<html", b"version https://git-lfs", b"\x93numpy", b"pk\x03\x04", b"bzh")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_AFTER_NAME: Final = (b"\x12", b"\x1a", b"\xa2\x06")  # the tags of old layers, inputs and layers in a binary network


def is_text(file: MappedFile) -> bool:
    """Return whether the file is text; the text may still be malformed.

    Raises:
        ParseError: The text is UTF-16.
    """
    head = file.map[:_HEAD]
    if head.startswith(_UTF16):
        raise ParseError(f"{file.path}: this text is saved as UTF-16; save it as UTF-8")
    if _FIELD.match(head) and not _is_name(head):
        return True
    return not _CONTROL.search(head) and not head.lstrip().lower().startswith(_FOREIGN_TEXT)


def _is_name(head: bytes) -> bool:
    """Return whether the bytes start with the name of a binary network.

    Its tag is a line break, and its length may be a letter, so that it looks like text.
    """
    return head.startswith(b"\n") and head[2 + head[1] :].startswith(_AFTER_NAME)


def require_binary_network(file: MappedFile) -> None:
    """Raise an error unless the file is a binary NetParameter with layers.

    Raises:
        ParseError: The file is something else. The message says what it is and what to pass instead.
    """
    if is_hdf5(file.map):
        raise ParseError(f"{file.path}: this is an HDF5 file, which holds weights but no definition; {INSTEAD}")
    require_binary(file, instead=INSTEAD)
    try:
        fields = list(Wire(file.map).fields(0, len(file.map)))
    except WireError as error:
        raise ParseError(
            f"{file.path}: this is neither text nor a complete .caffemodel: {error}; or {INSTEAD}"
        ) from None
    kind = kind_of(fields)
    if kind is caffe_pb2.SolverState:
        raise ParseError(f"{file.path}: this is a solver state, which holds no definition; {INSTEAD}")
    if kind is caffe_pb2.BlobProto:
        raise ParseError(f"{file.path}: this is a single blob, such as a mean image; {INSTEAD}")
    numbers = caffe_pb2.NetParameter.DESCRIPTOR.fields_by_name
    layers = {(numbers[name].number, DELIMITED) for name in ("layer", "layers")}
    if kind is None or not any((field.number, field.wire) in layers for field in fields):
        raise ParseError(f"{file.path}: this is not a Caffe network: it holds no layers; {INSTEAD}")
