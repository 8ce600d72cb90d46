"""Layers that read data from files or memory: inputs of the converted network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self, TypedDict

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import short
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.layers.data.source import Source
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import (
        DataParameter,
        HDF5DataParameter,
        ImageDataParameter,
        TransformationParameter,
        WindowDataParameter,
    )

__all__ = ["Data", "HDF5Data", "ImageData", "ImageSource", "MemoryData", "WindowData"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource(Source):
    """A layer whose first top is a batch of images, and whose second one is their labels.

    Attributes:
        batch: images in a batch; None where the definition does not tell.
        crop: the extent that images are cropped to; 0 for whole images.
        channels: of each image, where the definition leaves no doubt.
        whole: (height, width) of the images before they are cropped, where the definition tells.
        mean_file: the mean image as the definition names it: it is as large as the images before they are cropped.
        means: what is subtracted from each channel, or from all, where there is no mean image.
        scale: what the difference is multiplied by.
        blue_first: whether images are read from image files, with their colours in this order.
    """

    tops: ClassVar[tuple[int, int | None]] = (2, 2)

    batch: int | None
    crop: int = 0
    channels: int | None = None
    whole: tuple[int, int] | None = None
    mean_file: str | None = None
    means: tuple[float, ...] = ()
    scale: float = 1.0
    blue_first: bool = False

    def preparation(self) -> str:
        """As Caffe's data transformer works in TEST, in this order; whether it mirrors is left to chance there."""
        steps = ["reads colours as blue, green, red"] * self.blue_first
        if self.whole:
            steps.append(f"resizes images to {format_shape(self.whole)}")
        if self.crop:
            steps.append(self._cropping())
        if self.mean_file:
            steps.append(f"subtracts the mean image {self.mean_file!r}")
        if any(self.means):
            steps.append(f"subtracts {', '.join(str(short(m)) for m in self.means)} from the channels")
        if self.scale != 1:
            steps.append(f"multiplies by {short(self.scale)}")
        return ", ".join(steps[:-1]) + " and " * (len(steps) > 1) + "".join(steps[-1:])

    def _cropping(self) -> str:
        return f"crops to {self.crop}x{self.crop} at the centre"

    def with_shapes(self, given: Sequence[Shape | None]) -> Self:
        """The layer with the shapes that are ``given``; labels are as many as images, unless they are given too."""
        shaped = Source.with_shapes(self, given)
        if len(given) != 2 or not given[0] or given[1]:
            return shaped
        return replace(shaped, shapes=(given[0], (given[0][0],)))

    def with_mean(self, shape: Sequence[int]) -> Self:
        """The layer with what the shape of its mean image tells.

        Args:
            shape: (channels, height, width), with or without an axis of extent 1 before them.

        Raises:
            LayerError: the images cannot be of that shape.
        """
        channels, *whole = shape[-3:]
        expected = (self.channels, *(self.whole or (None, None)))
        if any(e not in (None, d) for e, d in zip(expected, (channels, *whole), strict=True)):
            raise LayerError(
                f"the mean image {self.mean_file!r} is {format_shape(shape)} and the images are "
                f"{format_shape(expected)}; they must have the same shape"
            )
        _check_crop(self.crop, whole)
        return replace(self, shapes=(_images(self.batch, channels, self.crop, whole), *self.shapes[1:]))


def _images(batch: int | None, channels: int, crop: int, whole: Sequence[int] | None) -> Shape | None:
    extents = (crop, crop) if crop else whole
    return None if extents is None or batch is None else (batch, channels, *extents)


def _labels(batch: int | None) -> Shape | None:
    return None if batch is None else (batch,)


def _check_crop(crop: int, whole: Sequence[int]) -> None:
    if any(d < crop for d in whole):
        raise LayerError(f"transform_param.crop_size ({crop}) is larger than the images ({format_shape(whole)})")


def _batch(p: DataParameter | WindowDataParameter | HDF5DataParameter | ImageDataParameter, block: str) -> int | None:
    """The size of a batch; None where it is not given, and Caffe has no default: the user is asked for the shape."""
    if p.batch_size < 1 and p.HasField("batch_size"):
        raise LayerError(f"{block}.batch_size must be 1 or more, not {p.batch_size}")
    return p.batch_size or None


class _Transform(TypedDict):
    crop: int
    mean_file: str | None
    means: tuple[float, ...]
    scale: float


def _transform(p: TransformationParameter) -> _Transform:
    """What an `ImageSource` keeps of it."""
    if p.HasField("mean_file") and p.mean_value:
        raise LayerError("transform_param gives both mean_file and mean_value; keep one of them")
    if p.force_color and p.force_gray:
        raise LayerError("transform_param sets both force_color and force_gray; keep one of them")
    mean_file = p.mean_file if p.HasField("mean_file") else None
    return {"crop": p.crop_size, "mean_file": mean_file, "means": tuple(p.mean_value), "scale": p.scale}


def _guessed_channels(p: TransformationParameter) -> int:
    """1 where images are made grey, else as many as there are means, else those of a colour image."""
    if p.force_gray:
        return 1
    return len(p.mean_value) if len(p.mean_value) > 1 and not p.force_color else 3


@register("Data")
@dataclass(frozen=True, slots=True, kw_only=True)
class Data(ImageSource):
    """Images, and labels where there is a second top, from a database.

    | parameter | default | meaning |
    |---|---|---|
    | data_param.batch_size | none | images in a batch |
    | transform_param.crop_size | 0 | height and width; 0: those of the images in the database |
    | transform_param.mean_file | | a mean image, which is as large as the images before they are cropped |

    The database itself is not read. The count of channels is that of the mean image, else 1 with force_gray, else the
    count of mean_value, else 3. The height and width are unknown without a crop_size and a mean image.
    """

    tops: ClassVar[tuple[int, int | None]] = (1, 2)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        batch, p = _batch(proto.message.data_param, "data_param"), proto.message.transform_param
        transform = _transform(p)
        images = _images(batch, _guessed_channels(p), p.crop_size, None)
        return cls(
            shapes=(images, _labels(batch))[: len(proto.tops)],
            names=proto.tops,
            batch=batch,
            **transform,
        )


@register("ImageData")
@dataclass(frozen=True, slots=True, kw_only=True)
class ImageData(ImageSource):
    """Images and labels from image files.

    | parameter | default | meaning |
    |---|---|---|
    | image_data_param.batch_size | 1 | images in a batch |
    | new_height, new_width | 0 | what images are resized to; both or neither; 0: as they are |
    | is_color | true | 3 channels, else 1 |
    | transform_param.crop_size | 0 | height and width; 0: those of the whole images |
    | transform_param.mean_file | | a mean image, which is as large as the images before they are cropped |

    The files themselves are not read.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p, transform = proto.message.image_data_param, proto.message.transform_param
        if (p.new_height > 0) != (p.new_width > 0):
            raise LayerError(
                "image_data_param.new_height and new_width must be given together, "
                f"not as {p.new_height} and {p.new_width}"
            )
        batch = _batch(p, "image_data_param")
        transformed = _transform(transform)
        channels = 3 if p.is_color else 1
        if len(transform.mean_value) not in (0, 1, channels):
            raise LayerError(
                f"transform_param.mean_value must be given once, or once for each of the {channels} channels; "
                f"{len(transform.mean_value)} are given"
            )
        whole = (p.new_height, p.new_width) if p.new_height else None
        _check_crop(transform.crop_size, whole or ())
        return cls(
            shapes=(_images(batch, channels, transform.crop_size, whole), _labels(batch)),
            names=proto.tops,
            batch=batch,
            channels=channels,
            whole=whole,
            blue_first=channels == 3,
            **transformed,
        )


@register("WindowData")
@dataclass(frozen=True, slots=True, kw_only=True)
class WindowData(ImageSource):
    """Windows of images, and their classes, from image files.

    | parameter | default | meaning |
    |---|---|---|
    | window_data_param.batch_size | none | windows in a batch |
    | transform_param.crop_size | required | height and width that a window is warped to |

    The files themselves are not read. The count of channels is that of the mean image, else the count of mean_value,
    else 3.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        batch, p = _batch(proto.message.window_data_param, "window_data_param"), proto.message.transform_param
        crop = p.crop_size
        transform = _transform(p)
        transform["scale"] = proto.message.window_data_param.scale  # that of transform_param is not looked at
        if crop < 1:
            raise LayerError("transform_param.crop_size must be given, and 1 or more, for windows")
        return cls(
            shapes=(_images(batch, _guessed_channels(p), crop, None), _labels(batch)),
            names=proto.tops,
            batch=batch,
            blue_first=True,
            **transform,
        )

    def _cropping(self) -> str:
        return f"warps windows to {self.crop}x{self.crop}"


@register("MemoryData")
@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryData(ImageSource):
    """Images and labels that a program puts there.

    | parameter | default | meaning |
    |---|---|---|
    | batch_size, channels, height, width | required | the shape of the first top; the second has batch_size values |
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters, all of them positive."""
        p = proto.message.memory_data_param
        shape = (p.batch_size, p.channels, p.height, p.width)
        if min(shape) < 1:
            raise LayerError(
                "memory_data_param must give batch_size, channels, height and width, each 1 or more, "
                f"not {format_shape(shape)}"
            )
        return cls(shapes=(shape, shape[:1]), names=proto.tops, batch=p.batch_size)


@register("HDF5Data")
@dataclass(frozen=True, slots=True, kw_only=True)
class HDF5Data(Source):
    """The datasets of HDF5 files that bear the names of the tops.

    | parameter | default | meaning |
    |---|---|---|
    | batch_size | none | rows in a batch |
    | source | | a text file with the names of the HDF5 files |

    Attributes:
        batch: rows in a batch; None where the definition does not tell.
        source: the list of files as the definition names it: the datasets of the first one tell the shapes.
    """

    batch: int | None
    source: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters; no transformation."""
        p = proto.message.hdf5_data_param
        batch = _batch(p, "hdf5_data_param")
        if proto.message.HasField("transform_param"):
            raise LayerError("an HDF5Data layer does not transform its data; take transform_param away")
        return cls(shapes=(None,) * len(proto.tops), names=proto.tops, batch=batch, source=p.source)

    def with_datasets(self, shapes: Mapping[str, Sequence[int]]) -> Self:
        """The layer with the shapes of the datasets of a file: each top has their axes after the first."""
        if self.batch is None:
            return self
        return replace(
            self,
            shapes=tuple(
                (self.batch, *shapes[name][1:]) if name in shapes else shape
                for name, shape in zip(self.names, self.shapes, strict=True)
            ),
        )
