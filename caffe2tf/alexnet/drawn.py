"""Random weights and inputs that are the same on every machine.

A blob depends only on the name and type of its layer, its index in the layer, and its shape. Its values come from
NumPy's RandomState, whose sequences never change, seeded with the CRC-32 of ``<layer>/<index>``. Activations that Caffe
computed with such weights can therefore be recorded without storing the weights. A params file is a JSON list of
``[layer name, layer type, [blob shape, ...]]``.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["LayerParameters", "draw_blob", "draw_input", "random_state", "read_params", "write_caffemodel"]

Shape: TypeAlias = tuple[int, ...]
Draws: TypeAlias = npt.NDArray[np.float64]
Sampler: TypeAlias = Callable[[np.random.RandomState, int], Draws]

CHUNK = 1 << 20
"""Number of values drawn at once. It affects the memory used, not the values."""

BATCH_NORM_FACTOR = 997.25
"""The third blob of a BatchNorm layer, by which Caffe divides the other two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerParameters:
    """A layer with trained blobs: its name, its Caffe type, and the shapes of its blobs in Caffe's order."""

    name: str
    type: str
    shapes: tuple[Shape, ...]


def random_state(key: str) -> np.random.RandomState:
    """Return the random generator for a key."""
    return np.random.RandomState(zlib.crc32(key.encode()) & 0x7FFFFFFF)


def draw_blob(layer: str, layer_type: str, place: int, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Draw the trained blob number `place` of a layer.

    Args:
        layer: the name of the layer.
        layer_type: its Caffe type, which decides the distribution.
        place: the index of the blob in the layer.
        shape: Caffe's shape of the blob.

    Returns:
        The blob, float32.
    """
    chunks = list(_chunks(layer, layer_type, place, tuple(shape)))
    return np.concatenate(chunks).reshape(tuple(shape)) if chunks else np.empty(tuple(shape), "<f4")


def draw_input(blob: str, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Draw an input blob.

    A blob of 4 axes is uniform in the range of mean-subtracted pixels, any other one normal.

    Args:
        blob: the name of the blob.
        shape: its shape, in Caffe's axis order.

    Returns:
        The blob, float32.
    """
    rng, size = random_state(f"input/{blob}"), tuple(shape)
    values = rng.uniform(-120.0, 135.0, size) if len(size) == 4 else rng.standard_normal(size) * 1.5
    return np.asarray(values).astype("<f4")


def read_params(path: Path) -> tuple[LayerParameters, ...]:
    """Read a params file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a params file.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            LayerParameters(name=str(name), type=str(kind), shapes=tuple(tuple(int(d) for d in s) for s in shapes))
            for name, kind, shapes in rows
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a list of [layer name, layer type, [blob shape, ...]]: {error}") from error


def write_caffemodel(
    layers: Sequence[LayerParameters], path: Path, progress: Callable[[int], None] | None = None
) -> None:
    """Write drawn weights as a .caffemodel, in chunks, so that no blob is ever whole in memory.

    Args:
        layers: the layers to draw.
        path: the file to write.
        progress: called with the number of values drawn since the last call.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("wb") as out:
        out.write(_field(1, b"digest"))
        for layer in layers:
            _write_layer(layer, out, progress or (lambda _: None))


def _normal(*scales: float) -> Sampler:
    def sample(rng: np.random.RandomState, size: int) -> Draws:
        values = rng.standard_normal(size)
        for scale in scales:
            values *= scale
        return values

    return sample


def _uniform(low: float, high: float, scale: float = 1.0) -> Sampler:
    return lambda rng, size: rng.uniform(low, high, size) * scale


def _constant(value: float) -> Sampler:
    return lambda _, size: np.full(size, value)


# One sampler per blob of the layer. It runs after the samplers of the preceding blobs, on the same generator.
_IN_SEQUENCE: dict[str, tuple[Sampler, ...]] = {
    "BatchNorm": (
        _normal(0.5, BATCH_NORM_FACTOR),
        _uniform(0.5, 1.5, BATCH_NORM_FACTOR),
        _constant(BATCH_NORM_FACTOR),
    ),
    "BN": (_uniform(0.5, 1.5), _normal(0.1), _normal(0.5), _uniform(0.5, 1.5)),
}

_ALIKE: dict[str, Sampler] = {
    "PReLU": _uniform(0.05, 0.5),
    "Normalize": _uniform(5, 20),
    "LSTM": _normal(0.3),
    "RNN": _normal(0.3),
}


def _samplers(layer_type: str, place: int, shape: Shape) -> tuple[Sampler, ...]:
    """Return the samplers to run. The last one draws the blob, the others only advance the generator."""
    if layer_type in _IN_SEQUENCE:
        return _IN_SEQUENCE[layer_type][: place + 1]
    if layer_type in _ALIKE:
        return (_ALIKE[layer_type],)
    if layer_type == "Scale":
        return (_uniform(0.5, 1.5) if place == 0 else _normal(0.1),)
    if layer_type == "InnerProduct" and place == 0:
        return (_normal(math.sqrt(0.2 / math.prod(shape[1:]))),)
    if len(shape) >= 2 and max(shape) < math.prod(shape):
        return (_normal(math.sqrt(2.0 / math.prod(shape[1:]))),)
    return (_normal(0.2),)


def _chunks(layer: str, layer_type: str, place: int, shape: Shape) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the values of a blob in order, `CHUNK` at a time."""
    rng = random_state(f"{layer}/{place}")
    *before, own = _samplers(layer_type, place, shape)
    for sampler in before:
        for size in _sizes(math.prod(shape)):
            sampler(rng, size)
    for size in _sizes(math.prod(shape)):
        yield own(rng, size).astype("<f4")


def _sizes(total: int) -> Iterator[int]:
    for start in range(0, total, CHUNK):
        yield min(CHUNK, total - start)


def _write_layer(layer: LayerParameters, out: BinaryIO, progress: Callable[[int], None]) -> None:
    """Write one `layer` field of a NetParameter. Lengths precede contents, so sizes are computed before drawing."""
    identity = _field(1, layer.name.encode()) + _field(2, layer.type.encode())
    dims = [_field(7, _field(1, b"".join(_varint(d) for d in shape))) for shape in layer.shapes]
    data = [_head(5, 4 * math.prod(shape)) for shape in layer.shapes]
    bodies = [len(h) + 4 * math.prod(s) + len(d) for h, s, d in zip(data, layer.shapes, dims, strict=True)]
    heads = [_head(7, body) for body in bodies]
    out.write(_head(100, len(identity) + sum(map(len, heads)) + sum(bodies)) + identity)
    for place, shape in enumerate(layer.shapes):
        out.write(heads[place] + data[place])
        for chunk in _chunks(layer.name, layer.type, place, shape):
            out.write(chunk.data)
            progress(chunk.size)
        out.write(dims[place])


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def _head(number: int, length: int) -> bytes:
    """Return the tag and length prefix of a length-delimited field."""
    return _varint(number << 3 | 2) + _varint(length)


def _field(number: int, payload: bytes) -> bytes:
    return _head(number, len(payload)) + payload
