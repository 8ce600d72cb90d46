"""What files tell that a definition names and that lie beside it: shapes of a network's inputs, and mean images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from caffe2tf.errors import LayerError, ParseError
from caffe2tf.ir import Shape
from caffe2tf.ir.layer import Layer, ReadsImages
from caffe2tf.layers.data.data_sources import HDF5Data, ImageSource
from caffe2tf.layers.data.source import Source
from caffe2tf.parse.hdf5_data import read_dataset_shapes
from caffe2tf.parse.mean import read_mean

__all__ = ["read_images", "settle_shapes"]


def settle_shapes(layer: Source, given: Sequence[Shape | None], *, beside: str) -> Source:
    """The source with its shapes as far as they can be known.

    Args:
        layer: as read.
        given: a shape for each top, None where the user gives none; they come before all else.
        beside: path of the definition, whose folder is where the files it names are looked for first.

    Raises:
        LayerError: the mean image cannot be that of the images.
    """
    if isinstance(layer, ImageSource) and layer.mean_file and not given[0]:
        mean = _mean_shape(layer.mean_file, beside)
        if mean is not None:
            layer = layer.with_mean(mean)
    if isinstance(layer, HDF5Data) and None in given:
        layer = layer.with_datasets(_dataset_shapes(layer.source, beside))
    return layer.with_shapes(given)


def read_images(layer: ReadsImages, *, beside: str) -> Layer:
    """The layer with the mean images that it computes with.

    Args:
        layer: as read; it names them.
        beside: path of the definition, whose folder is where the files it names are looked for first.

    Raises:
        LayerError: a file is not there, or is none of a mean image; or the layer cannot use what it holds.
    """
    images = []
    for name in layer.files():
        file = _find(name, beside)
        if file is None:
            raise LayerError(f"there is no file {name!r}, whose values it computes with; put it beside the definition")
        try:
            images.append(read_mean(file))
        except ParseError as e:
            raise LayerError(str(e)) from None
    return layer.with_files(images)


def _mean_shape(name: str, beside: str) -> tuple[int, ...] | None:
    file = _find(name, beside)
    try:
        return read_mean(file).shape if file else None
    except ParseError:
        return None  # no mean image after all: the shape stays unknown, which is reported


def _dataset_shapes(source: str, beside: str) -> Mapping[str, tuple[int, ...]]:
    """Of the first file that the list ``source`` names, a file name on each line."""
    listing = _find(source, beside)
    try:
        names = listing.read_text(encoding="utf-8").split() if listing else []
        file = _find(names[0], str(listing)) if names else None
        return read_dataset_shapes(file) if file else {}
    except (OSError, UnicodeDecodeError, ParseError):
        return {}  # likewise


def _find(name: str, beside: str) -> Path | None:
    """A file that is named there: from that folder, from here, or moved into that folder."""
    folder = Path(beside).parent
    return next((p for p in (folder / name, Path(name), folder / Path(name).name) if name and _is_file(p)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # it cannot even be looked at
        return False
