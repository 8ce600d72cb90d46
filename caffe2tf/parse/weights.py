"""Opens trained weights, in any form that Caffe writes."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from caffe2tf.errors import UsageError
from caffe2tf.parse.caffemodel import read_caffemodel
from caffe2tf.parse.mapped import is_hdf5, map_file, require_binary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from caffe2tf.parse.blobs import Blob
    from caffe2tf.parse.caffemodel import TrainedLayer

__all__ = ["TrainedWeights", "open_weights"]

_SUFFIXES: Final = (".caffemodel", ".caffemodel.h5")
_INSTEAD: Final = "pass the trained weights (.caffemodel or .caffemodel.h5)"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedWeights:
    """Trained blobs by layer, from one or several files.

    It keeps the files open: use it as a context manager, or call `close`.


    Attributes:
        files: The files, in the order given.
        layers: The blobs of each layer that has blobs, by layer name. If a name occurs several times, in one file or
            in several, the last layer with blobs counts, as when Caffe loads one file after the other.
        types: Caffe's modern name of the type of each layer, by layer name, including layers without blobs; "" if
            the file does not say.
        loads: Every layer with blobs, in the order in which Caffe would load them.
    """

    files: tuple[Path, ...]
    layers: Mapping[str, tuple[Blob, ...]]
    types: Mapping[str, str]
    loads: tuple[TrainedLayer, ...] = ()
    resources: ExitStack = field(repr=False)

    def close(self) -> None:
        """Close the files. Arrays that are still in use stay valid."""
        self.resources.close()

    def __enter__(self) -> TrainedWeights:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_weights(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> TrainedWeights:
    """Open trained weights.

    Only the structure is read; the values stay in the memory-mapped files until they are used.

    Args:
        path: A .caffemodel or .caffemodel.h5, several of them, or a string that lists several, separated by commas,
            as for Caffe's own tools.

    Returns:
        The weights, to be used as a context manager::

            with open_weights("bvlc_alexnet.caffemodel") as weights:
                kernel, bias = weights.layers["conv1"]
                kernel.array()  # (96, 3, 11, 11) float32

    Raises:
        ParseError: A file cannot be read, does not hold trained weights (the message says what to pass), or is damaged.
        UsageError: No file is named.
    """
    files = _files(path)
    layers: dict[str, tuple[Blob, ...]] = {}
    types: dict[str, str] = {}
    loads: list[TrainedLayer] = []
    with ExitStack() as opened:
        for file in files:
            for layer in _read(file, opened):
                if layer.blobs:
                    layers[layer.name] = layer.blobs
                    loads.append(layer)
                if layer.blobs or layer.name not in layers:
                    types[layer.name] = layer.type or types.get(layer.name, "")
        return TrainedWeights(
            files=files,
            layers=MappingProxyType(layers),
            types=MappingProxyType(types),
            loads=tuple(loads),
            resources=opened.pop_all(),
        )


def _files(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> tuple[Path, ...]:
    given = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    files: list[Path] = []
    for item in given:
        if isinstance(item, str) and "," in item and not os.path.lexists(item):
            files += [Path(part.strip()) for part in item.split(",") if part.strip()]
        elif os.fspath(item):
            files.append(Path(item))
    if not files:
        raise UsageError(f"no weight file is named; {_INSTEAD}")
    return tuple(files)


def _read(path: Path, opened: ExitStack) -> tuple[TrainedLayer, ...]:
    file = map_file(path, what="trained weights", suffixes=_SUFFIXES)
    opened.callback(file.close)
    if is_hdf5(file.map):
        from caffe2tf.parse.hdf5 import read_hdf5  # noqa: PLC0415 - h5py is slow to import, and few files need it

        weights = read_hdf5(file)
        opened.callback(weights.close)
        return weights.layers
    require_binary(file, instead=_INSTEAD)
    return read_caffemodel(file)
