"""Files that a definition names: the shapes of inputs that they imply, and mean images that layers compute with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from caffe2tf.errors import LayerError, ParseError
from caffe2tf.ir import Shape
from caffe2tf.ir.layer import Layer, ReadsImages
from caffe2tf.layers.data.hdf5_data import HDF5Data
from caffe2tf.layers.data.image_base import ImageSource
from caffe2tf.layers.data.source import Source
from caffe2tf.parse.hdf5_data import read_dataset_shapes
from caffe2tf.parse.mean_image import read_mean

__all__ = ["read_images", "settle_shapes"]


def settle_shapes(layer: Source, given: Sequence[Shape | None], *, beside: str) -> Source:
    """Return the source with the shapes of its tops, as far as they can be known.

    Args:
        layer: the source as read.
        given: a shape for each top, or None; a given shape overrides what the definition and its files say.
        beside: path of the definition. Files that it names are searched in its folder first.

    Raises:
        LayerError: the images cannot have the shape of the mean image.
    """
    if isinstance(layer, ImageSource) and layer.preprocessing.mean_file and not given[0]:
        mean = _mean_shape(layer.preprocessing.mean_file, beside)
        if mean is not None:
            layer = layer.with_mean(mean)
    if isinstance(layer, HDF5Data) and None in given:
        layer = layer.with_datasets(_dataset_shapes(layer.source.path, beside))
    return layer.with_shapes(given)


def read_images(layer: ReadsImages, *, beside: str) -> Layer:
    """Return the layer with the mean images that it computes with.

    Args:
        layer: the layer as read; it names the images.
        beside: path of the definition. Files that it names are searched in its folder first.

    Raises:
        LayerError: a file is missing or is not a mean image, or the layer cannot use what it holds.
    """
    images = []
    for name in layer.files():
        file = _find(name, beside)
        if file is None:
            raise LayerError(f"there is no file {name!r}, whose values the layer needs; put it next to the definition")
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
        return None  # not a mean image: the shape stays unknown, which is reported


def _dataset_shapes(source: str, beside: str) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of the datasets in the first file of the list ``source``, by name; empty if unreadable."""
    listing = _find(source, beside)
    try:
        names = listing.read_text(encoding="utf-8").split() if listing else []
        file = _find(names[0], str(listing)) if names else None
        return read_dataset_shapes(file) if file else {}
    except (OSError, UnicodeDecodeError, ParseError):
        return {}  # the shapes stay unknown, which is reported


def _find(name: str, beside: str) -> Path | None:
    """Return the path of a file, or None.

    It is searched relative to the folder of ``beside``, relative to the working directory, and by its bare name in the
    folder of ``beside``.
    """
    folder = Path(beside).parent
    return next((p for p in (folder / name, Path(name), folder / Path(name).name) if name and _is_file(p)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder on the way cannot be read
        return False
