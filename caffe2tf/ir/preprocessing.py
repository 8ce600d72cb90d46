"""What Caffe's data layers feed into a network: where the data comes from, and what is done to it on the way.

`Feed.describe` renders a record as a sentence, and `dataclasses.asdict` turns it into plain values for JSON. Only the
data layers import this module when they are loaded, because few networks have them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from caffe2tf.ir.shape import format_shape

__all__ = [
    "Backend",
    "Color",
    "Content",
    "Crop",
    "DataSource",
    "Feed",
    "Preprocessing",
    "SourceKind",
    "Warp",
    "WindowSampling",
]


class SourceKind(enum.StrEnum):
    """Where a data layer reads its items."""

    DATABASE = "database"  # Datum records of a database, in bytewise order of the keys (Data)
    IMAGE_LIST = "image list"  # a text file with "name label" on each line (ImageData)
    HDF5_LIST = "HDF5 list"  # a text file with names of HDF5 files, separated by white space (HDF5Data)
    WINDOWS = "windows"  # a text file of images and boxes in them (WindowData)
    MEMORY = "memory"  # what the calling program hands over (MemoryData)


class Backend(enum.StrEnum):
    """The format of a database."""

    LEVELDB = "LEVELDB"
    LMDB = "LMDB"


class Content(enum.StrEnum):
    """What one top of a data layer holds."""

    IMAGES = "images"  # (N, C, H, W) float32
    LABELS = "labels"  # (N) float32: the int32 label of each item
    DATASET = "dataset"  # rows of the HDF5 dataset that has the name of the top, as float32


class Color(enum.StrEnum):
    """How an encoded image (JPEG, PNG ...) is decoded into uint8 channels.

    A raw Datum is not decoded: its channels are taken as they are stored, whatever this says. ``convert_imageset``
    stores blue, green, red.
    """

    BGR = "BGR"  # three channels: blue, green, red; a grey image is repeated, transparency is dropped
    GRAY = "grey"  # one channel
    STORED = "as stored"  # the channels of the file: one if it is grey, else blue, green, red


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A square cut out of each image.

    Attributes:
        size: its height and width.
        random: whether its place is drawn for each image, as in the TRAIN phase: the offset along each axis is uniform
            in 0 .. extent - size. Otherwise the offset is ``(extent - size) // 2``.
    """

    size: int
    random: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Warp:
    """How WindowData brings a box of an image to a square.

    Attributes:
        size: height and width of the square.
        context_pad: width of the border, in pixels of the square, that shows the surroundings of the box. What lies
            outside the image stays 0 in the blob: neither mean nor scale is applied there.
        crop_mode: ``"warp"`` distorts the box to a square; ``"square"`` takes the smallest square around it.
    """

    size: int
    context_pad: int = 0
    crop_mode: str = "warp"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSampling:
    """How WindowData draws windows, with replacement.

    A batch holds ``batch_size - int(batch_size * fg_fraction)`` background windows, then foreground windows.

    Attributes:
        fg_threshold: a box whose overlap is at least this is foreground, and keeps its label.
        bg_threshold: any other box whose overlap is less than this is background, with label 0. The rest is ignored.
        fg_fraction: share of foreground windows in a batch.
        cache_images: whether Caffe keeps the encoded files in memory.
    """

    fg_threshold: float = 0.5
    bg_threshold: float = 0.5
    fg_fraction: float = 0.25
    cache_images: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """Where a data layer reads its items, and in which order.

    Items are read in order without end: a batch that reaches the last item goes on with the first one, and the next
    batch follows on. Windows are drawn at random instead.

    Attributes:
        kind: see `SourceKind`.
        path: the database or list as the definition names it, relative to Caffe's working directory; "" if absent.
        backend: format of the database; None if the source is not a database.
        batch_size: items in a batch; None if the definition does not state it.
        root_folder: text put in front of each image name of a list, without a separator.
        shuffle: whether the order is drawn anew in each pass over the items: that of the images of a list, or that of
            the HDF5 files and of the rows within each file.
        rand_skip: if not 0, the first pass begins at an item drawn from 0 .. rand_skip - 1.
        labels: label values of each item: 1, or 0 if the layer has no top for them.
        windows: how windows are drawn; None for other sources.
    """

    kind: SourceKind
    path: str = ""
    backend: Backend | None = None
    batch_size: int | None = None
    root_folder: str = ""
    shuffle: bool = False
    rand_skip: int = 0
    labels: int = 0
    windows: WindowSampling | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What a data layer does to each image, in the order of Caffe's data transformer.

    1. Decode an encoded image by `color`.
    2. Resize it to `resize`: uint8, OpenCV's bilinear interpolation. An image that has this size is not resampled.
    3. Cut out `crop`; the mean image is cut at the same place.
    4. Subtract the mean, in float32: ``mean_file``, or ``mean_values``, or nothing.
    5. Multiply by `scale`.
    6. Flip the columns of half of the images, drawn at random, if `mirror`.

    WindowData differs: it warps (`warp`) in place of steps 2 and 3, flips next, and only then subtracts the mean, whose
    offset is ``(mean width - size) // 2`` along both axes. Source: ``src/caffe/data_transformer.cpp``,
    ``ReadImageToCVMat`` of ``src/caffe/util/io.cpp``, ``src/caffe/layers/window_data_layer.cpp``.

    Attributes:
        color: how encoded images are decoded.
        resize: (height, width), or None.
        crop: see `Crop`, or None for whole images.
        warp: see `Warp`, or None if the items are not windows.
        mean_file: the mean image as the definition names it, or None. Its channels, height and width are those of the
            images before they are cropped.
        mean_values: one value for all channels, or one for each, in the order of the channels (so blue comes first);
            empty if there is a mean image or no mean.
        scale: the factor after the subtraction.
        mirror: whether half of the images are flipped, in the TRAIN phase and in the TEST phase.
    """

    color: Color = Color.STORED
    resize: tuple[int, int] | None = None
    crop: Crop | None = None
    warp: Warp | None = None
    mean_file: str | None = None
    mean_values: tuple[float, ...] = ()
    scale: float = 1.0
    mirror: bool = False

    @property
    def edge(self) -> int:
        """Height and width of the images if they are cropped or warped, else 0."""
        cut = self.warp or self.crop
        return cut.size if cut else 0

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the images in the blob, or None if only the images tell."""
        return (self.edge, self.edge) if self.edge else self.resize


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What Caffe feeds into one input of a network.

    Attributes:
        source: where the items come from.
        content: which part of the items it is.
        preprocessing: what is done to them; None unless they are images.
    """

    source: DataSource
    content: Content
    preprocessing: Preprocessing | None = None

    def describe(self, target: str = "this input") -> str:
        """Describe in plain English how Caffe prepares what it feeds.

        Args:
            target: what the input is called in the sentence.

        Returns:
            A sentence without its full stop; "" if the data is fed as it is stored.

        Example:
            ``Caffe feeds this input BGR images resized to 256x256, cropped to 227x227 at the centre, times 0.00390625``
        """
        done = self.preprocessing
        if done is None:
            return ""
        steps = _steps(done)
        if not steps and done.color is Color.STORED:
            return ""
        kind = "windows of " if done.warp else ""
        color = "" if done.color is Color.STORED else f"{done.color} "
        images = f"Caffe feeds {target} {kind}{color}images"
        return " ".join([images, *([", ".join(steps)] if steps else [])]) + _remark(self.source, done)


def _steps(done: Preprocessing) -> list[str]:
    steps = [f"resized to {format_shape(done.resize)}"] if done.resize else []
    if done.crop:
        place = "at a random place" if done.crop.random else "at the centre"
        steps.append(f"cropped to {done.crop.size}x{done.crop.size} {place}")
    if done.warp:
        steps.append(_warping(done.warp))
    if done.mean_file:
        steps.append(f"minus the mean image {done.mean_file!r}")
    if len(set(done.mean_values)) == 1 and done.mean_values[0]:
        steps.append(f"minus {done.mean_values[0]}")
    elif any(done.mean_values):
        steps.append(f"minus ({', '.join(map(str, done.mean_values))}) per channel")
    if done.scale != 1:
        steps.append(f"times {done.scale}")
    if done.mirror:
        steps.append("half of them mirrored left to right at random")
    return steps


def _warping(warp: Warp) -> str:
    cut = "widened to squares and resized" if warp.crop_mode == "square" else "warped"
    border = f" with {warp.context_pad} pixels of context on each side" if warp.context_pad else ""
    return f"{cut} to {warp.size}x{warp.size}{border}"


def _remark(source: DataSource, done: Preprocessing) -> str:
    """What must be added on the order of channels, or on who does the preprocessing."""
    if source.kind is SourceKind.MEMORY:
        return "; arrays that a program sets directly are fed as they are"
    if source.kind is SourceKind.DATABASE and done.color is Color.STORED:
        return "; colour images that convert_imageset stored are BGR"
    return ""
