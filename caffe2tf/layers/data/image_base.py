"""What data layers of images share: shapes of images and labels, `transform_param`, and what Caffe feeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import short
from caffe2tf.ir.layer import FeedsInputs
from caffe2tf.ir.preprocessing import Color, Content, Crop, DataSource, Feed, Preprocessing
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.layers.data.source import Source

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import (
        DataParameter,
        HDF5DataParameter,
        ImageDataParameter,
        TransformationParameter,
        WindowDataParameter,
    )

__all__ = [
    "ImageSource",
    "check_crop",
    "guess_channels",
    "image_shape",
    "label_shape",
    "read_batch_size",
    "read_transform",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource(Source, FeedsInputs):
    """A layer whose first top is a batch of images (N, C, H, W), and whose second top is their labels (N).

    Attributes:
        source: where the images come from.
        preprocessing: what Caffe does to them.
        channels: channels of each image; None if the definition leaves a doubt.
    """

    tops: ClassVar[tuple[int, int | None]] = (2, 2)

    source: DataSource
    preprocessing: Preprocessing
    channels: int | None = None

    def feed(self, top: str) -> Feed | None:
        """Return what Caffe feeds into a top: images into the first one, labels into the second."""
        if top not in self.names:
            return None
        if self.names.index(top) == 0:
            return Feed(source=self.source, content=Content.IMAGES, preprocessing=self.preprocessing)
        return Feed(source=self.source, content=Content.LABELS)

    def remarks(self) -> tuple[str, ...]:
        """Return how Caffe prepares the images: this is left to the user."""
        feeds = ((name, self.feed(name)) for name in self.names)
        sentences = (feed.describe(f"input {name!r}") for name, feed in feeds if feed)
        return tuple(s for s in sentences if s)

    def with_shapes(self, given: Sequence[Shape | None]) -> Self:
        """Return the layer with the given shapes; there are as many labels as images, unless they are given too."""
        shaped = Source.with_shapes(self, given)
        if len(given) != 2 or not given[0] or given[1]:
            return shaped
        return replace(shaped, shapes=(given[0], (given[0][0],)))

    def with_mean(self, shape: Sequence[int]) -> Self:
        """Return the layer with the shape of images that its mean image implies.

        Args:
            shape: of the mean image: (channels, height, width), with or without an axis of extent 1 in front.

        Raises:
            LayerError: the images cannot have this shape.
        """
        channels, *whole = shape[-3:]
        done = self.preprocessing
        expected = (self.channels, *(done.resize or (None, None)))
        if any(e not in (None, d) for e, d in zip(expected, (channels, *whole), strict=True)):
            raise LayerError(
                f"the mean image {done.mean_file!r} is {format_shape(shape)} and the images are "
                f"{format_shape(expected)}; they must have the same shape"
            )
        check_crop(done.edge, whole)
        height, width = whole
        images = image_shape(self.source.batch_size, channels, done.edge, (height, width))
        return replace(self, shapes=(images, *self.shapes[1:]))


def image_shape(batch: int | None, channels: int, edge: int, whole: tuple[int, int] | None) -> Shape | None:
    """Return the shape of a batch of images, or None if it is unknown.

    Args:
        batch: images in a batch.
        channels: of each image.
        edge: height and width of cropped images, or 0.
        whole: (height, width) of images that are not cropped.
    """
    extents = (edge, edge) if edge else whole
    return None if extents is None or batch is None else (batch, channels, *extents)


def label_shape(batch: int | None) -> Shape | None:
    """Return the shape of the labels of a batch, or None if the batch size is unknown."""
    return None if batch is None else (batch,)


def check_crop(crop: int, whole: Sequence[int]) -> None:
    """Raise LayerError if the crop is larger than the images; ``whole`` is their height and width, or empty."""
    if any(d < crop for d in whole):
        raise LayerError(f"transform_param.crop_size ({crop}) is larger than the images ({format_shape(whole)})")


def read_batch_size(
    p: DataParameter | WindowDataParameter | HDF5DataParameter | ImageDataParameter, block: str
) -> int | None:
    """Return the batch size, or None if it is absent and Caffe has no default: the user must then give the shapes."""
    if p.batch_size < 1 and p.HasField("batch_size"):
        raise LayerError(f"{block}.batch_size must be 1 or more, not {p.batch_size}")
    return p.batch_size or None


def read_transform(proto: LayerProto) -> Preprocessing:
    """Return what `transform_param` says about images: all but the size that they are resized to.

    Raises:
        LayerError: two of its fields exclude each other.
    """
    p = proto.message.transform_param
    if p.HasField("mean_file") and p.mean_value:
        raise LayerError("transform_param gives both mean_file and mean_value; keep one of them")
    if p.force_color and p.force_gray:
        raise LayerError("transform_param sets both force_color and force_gray; keep one of them")
    training = proto.training
    return Preprocessing(
        color=Color.BGR if p.force_color else Color.GRAY if p.force_gray else Color.STORED,
        crop=Crop(size=p.crop_size, random=training) if p.crop_size else None,
        mean_file=p.mean_file or None,
        mean_values=tuple(short(v) for v in p.mean_value),
        scale=short(p.scale),
        mirror=p.mirror,
    )


def guess_channels(p: TransformationParameter) -> int:
    """Return 1 if images are decoded to grey, else the number of mean values, else the 3 of a colour image."""
    if p.force_gray:
        return 1
    return len(p.mean_value) if len(p.mean_value) > 1 and not p.force_color else 3
