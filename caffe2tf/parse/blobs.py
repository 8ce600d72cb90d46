"""Trained blobs as views of memory-mapped files."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from caffe2tf.parse.wire import DELIMITED, VARINT, Field, Wire, WireError, parse, tag
from caffe2tf.proto import caffe_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Blob", "Pages", "check_shape", "read_blob", "view"]

_INT_MAX: Final = 2**31 - 1
_MAX_AXES: Final = 32  # as in Caffe
_SHAPE_LIMIT: Final = 1 << 16  # bytes

_DATA: Final = tag(caffe_pb2.BlobProto, "data")
_DOUBLE_DATA: Final = tag(caffe_pb2.BlobProto, "double_data")
_DIFFS: Final = {tag(caffe_pb2.BlobProto, name)[0]: size for name, size in (("diff", 4), ("double_diff", 8))}
_LEGACY: Final = ("num", "channels", "height", "width")
_HEADER: Final = frozenset(tag(caffe_pb2.BlobProto, name) for name in (*_LEGACY, "shape", "raw_data_type"))
_DTYPES: Final[dict[int, np.dtype[Any]]] = {
    _DATA[0]: np.dtype("<f4"),
    _DOUBLE_DATA[0]: np.dtype("<f8"),
}
_C3D_WIDTH: Final = (5, VARINT)  # C3D 1.0 has the last extent here; all other Caffes have the values
_C3D_DATA: Final = 6
_RAW_DATA: Final = tag(caffe_pb2.BlobProto, "raw_data")
_RAW_DTYPES: Final[dict[int, np.dtype[Any]]] = {
    caffe_pb2.DOUBLE: np.dtype("<f8"),
    caffe_pb2.FLOAT: np.dtype("<f4"),
    caffe_pb2.FLOAT16: np.dtype("<f2"),
}
_VALUES: Final = {_DATA, _DOUBLE_DATA, (_DATA[0], DELIMITED), (_DOUBLE_DATA[0], DELIMITED)}  # unpacked, and packed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pages:
    """Bytes [start, stop) of a memory-mapped file."""

    map: mmap.mmap = field(repr=False)
    start: int
    stop: int

    def release(self, start: int, stop: int) -> None:
        """Release the memory of bytes [start, stop) of the file, in whole pages and never beyond this run.

        The start is rounded down to a page boundary, so that no page between adjacent ranges is left out. Values that
        are read later are read from the file again.
        """
        if self.map.closed or not hasattr(mmap, "MADV_DONTNEED"):
            return
        page = mmap.PAGESIZE
        first = max(start // page, -(-self.start // page)) * page
        last = min(stop, self.stop) // page * page
        if first < last:
            self.map.madvise(mmap.MADV_DONTNEED, first, last - first)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blob:
    """One trained blob, in Caffe's axis order.

    Attributes:
        shape: Extents as the file gives them; () for a scalar.
        legacy: Whether the file gives num, channels, height and width, so that vectors and matrices have leading ones.
        data: The values, flat and read-only, as float32, float64 or (only from NVIDIA's Caffe) float16; a view of the
            file if possible.
        absent: Whether the file leaves this blob out because another layer that shares it holds it (only in HDF5).
            Then `shape` is (0,).
        pages: The part of the file that holds the values; None if they are not memory-mapped.
    """

    shape: tuple[int, ...]
    legacy: bool = False
    data: npt.NDArray[Any] = field(repr=False)
    absent: bool = False
    pages: Pages | None = field(default=None, repr=False)

    def array(self) -> npt.NDArray[Any]:
        """Return `data` in `shape`, without a copy."""
        return self.data.reshape(self.shape)

    def release(self) -> None:
        """Release the pages that hold only this blob; the data stays readable."""
        if self.pages is not None:
            self.pages.release(self.pages.start, self.pages.stop)

    def release_range(self, start_element: int, stop_element: int) -> None:
        """Release the pages of elements [start_element, stop_element) of `data`."""
        if self.pages is not None:
            step = self.data.strides[0]
            first = self.pages.start
            self.pages.release(first + max(start_element, 0) * step, first + max(stop_element, 0) * step)


def check_shape(shape: Sequence[int]) -> int:
    """Return the number of values in a blob of this shape; raise ValueError if Caffe does not allow the shape."""
    if len(shape) > _MAX_AXES:
        raise ValueError(f"it has {len(shape)} axes, and Caffe allows {_MAX_AXES}")
    count = 1
    for extent in shape:
        if extent < 0:
            raise ValueError(f"the extent {extent} of its shape is negative")
        count *= extent
        if max(count, extent) > _INT_MAX:
            raise ValueError(f"its shape {'x'.join(map(str, shape))} is larger than Caffe allows ({_INT_MAX} values)")
    return count


def view(buffer: bytes | mmap.mmap, dtype: np.dtype[Any], start: int, elements: int, step: int) -> npt.NDArray[Any]:
    """Return a read-only array of values that are ``step`` bytes apart, from byte ``start`` on, without a copy."""
    size = dtype.itemsize + (elements - 1) * step if elements else 0
    # Unlike other constructors, frombuffer keeps the map open as long as the array exists.
    held = np.frombuffer(buffer, np.uint8, size, start if size else 0)
    data = np.ndarray((elements,), dtype, held, 0, (step,))
    data.flags.writeable = False
    return data


def read_blob(wire: Wire, start: int, stop: int) -> Blob:
    """Read the blob whose BlobProto is at bytes [start, stop).

    Fields that the schema does not know are skipped, as by protobuf: a field with a known number but another wire type
    belongs to a fork.

    Raises:
        WireError: The message is malformed, or the values do not fill the shape exactly.
    """
    items = list(wire.fields(start, stop, groups=True))
    if any((item.number, item.wire) == _C3D_WIDTH for item in items):
        return _read_c3d(wire, items, start)
    header: list[Field] = []
    values: dict[int, list[Field]] = {number: [] for number in _DTYPES}
    raw: Field | None = None
    unknown: set[int] = set()
    for item in items:
        if (item.number, item.wire) in _HEADER:
            header.append(item)
        elif (item.number, item.wire) in _VALUES:
            values[item.number].append(_run(item))
        elif item.number in _DIFFS:
            _run(item)  # not used, but protobuf refuses a file in which it is malformed
        elif (item.number, item.wire) == _RAW_DATA:
            raw = item  # if a field is given twice, protobuf keeps the last one
        else:
            unknown.add(item.number)
    proto = _header(wire, header)
    shape, legacy = _shape(proto, header[0].tag if header else start)
    runs, dtype = _values(values)
    if not runs and raw is not None:
        runs, dtype = _raw(proto, raw, check_shape(shape))
    _check_count(shape, sum(run.elements for run in runs), unknown, start)
    return _blob(wire, shape, runs, dtype, legacy=legacy)


def _read_c3d(wire: Wire, items: list[Field], start: int) -> Blob:
    """Read a blob of C3D 1.0: fields 1 to 5 are its five extents, and field 6 holds the values."""
    extents = {item.number: wire.varint(item.start, item.stop)[0] for item in items if item.wire == VARINT}
    shape = tuple(extents.get(number, 0) for number in range(1, 6))
    runs = [run for run in (_run(item) for item in items if item.number == _C3D_DATA) if run.elements]
    try:
        check_shape(shape)
    except ValueError as error:
        raise WireError(str(error), start) from None
    _check_count(shape, sum(run.elements for run in runs), set(), start)
    return _blob(wire, shape, runs, _DTYPES[_DATA[0]], legacy=True)


def _blob(wire: Wire, shape: tuple[int, ...], runs: list[Field], dtype: np.dtype[Any], *, legacy: bool) -> Blob:
    data = _join(wire, runs, dtype)
    pages = None
    if len(runs) == 1 and isinstance(wire.buffer, mmap.mmap):
        pages = Pages(map=wire.buffer, start=runs[0].start, stop=runs[0].stop)
    return Blob(shape=shape, legacy=legacy, data=data, pages=pages)


def _values(values: dict[int, list[Field]]) -> tuple[list[Field], np.dtype[Any]]:
    """Return the runs of values to use: Caffe uses `data` only if there is no `double_data`."""
    double = any(run.elements for run in values[_DOUBLE_DATA[0]])
    number = _DOUBLE_DATA[0] if double else _DATA[0]
    return [run for run in values[number] if run.elements], _DTYPES[number]


def _raw(proto: caffe_pb2.BlobProto, item: Field, wanted: int) -> tuple[list[Field], np.dtype[Any]]:
    """Return the values that NVIDIA's Caffe stored as raw bytes; they are used if there are no other values."""
    mend = "save the network again with NVIDIA's Caffe, as FLOAT16, FLOAT or DOUBLE"
    if not proto.HasField("raw_data_type"):
        raise WireError("raw values (raw_data) of no known type (raw_data_type)", item.tag, mend=mend)
    dtype = _RAW_DTYPES.get(proto.raw_data_type)
    if dtype is None:
        name = caffe_pb2.BlobType.Name(proto.raw_data_type)
        raise WireError(f"raw values (raw_data) of type {name}, which no layer uses", item.tag, mend=mend)
    size = item.stop - item.start
    if size != wanted * dtype.itemsize:
        what = f"{size} bytes of raw values (raw_data), not {wanted} values of {dtype.itemsize} bytes"
        raise WireError(what, item.tag)
    return ([item._replace(elements=wanted, step=dtype.itemsize)] if wanted else []), dtype


def _run(item: Field) -> Field:
    """Return a packed array as a run of elements; an unpacked one already is a run."""
    if item.wire != DELIMITED:
        return item
    size = _DIFFS.get(item.number) or _DTYPES[item.number].itemsize
    count, rest = divmod(item.stop - item.start, size)
    if rest:
        raise WireError(f"{item.stop - item.start} bytes of values, not a multiple of {size}", item.tag)
    return item._replace(elements=count, step=size)


def _header(wire: Wire, header: list[Field]) -> caffe_pb2.BlobProto:
    """Parse everything in a blob except its values."""
    size = sum(item.stop - item.start for item in header)
    if size > _SHAPE_LIMIT:
        raise WireError(f"{size} bytes of shape", header[0].tag)
    return parse(caffe_pb2.BlobProto, wire, header)


def _shape(proto: caffe_pb2.BlobProto, at: int) -> tuple[tuple[int, ...], bool]:
    legacy = any(proto.HasField(name) for name in ("num", "channels", "height", "width"))
    shape = (proto.num, proto.channels, proto.height, proto.width) if legacy else tuple(proto.shape.dim)
    try:
        check_shape(shape)
    except ValueError as error:
        raise WireError(str(error), at) from None
    return shape, legacy


def _check_count(shape: tuple[int, ...], found: int, unknown: set[int], start: int) -> None:
    wanted = check_shape(shape)
    if found == wanted:
        return
    what = f"it holds {found} values, but its shape {'x'.join(map(str, shape)) or '(scalar)'} needs {wanted}"
    if not found and unknown:
        numbers = ", ".join(map(str, sorted(unknown)))
        what += f"; unknown fields ({numbers}) may hold them in another form"
        raise WireError(what, start, mend="save the network again with the Caffe that wrote it, as float32")
    raise WireError(what, start)


def _join(wire: Wire, runs: list[Field], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    views = [view(wire.buffer, dtype, run.start, run.elements, run.step) for run in runs]
    data = views[0] if len(views) == 1 else np.concatenate([np.empty(0, dtype), *views])
    data.flags.writeable = False
    return data
