"""ImageData: images and labels from a list of image files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.preprocessing import Color, DataSource, SourceKind
from caffe2tf.layers.data.image_base import (
    ImageSource,
    check_crop,
    image_shape,
    label_shape,
    read_batch_size,
    read_transform,
)
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["ImageData"]


@register("ImageData")
@dataclass(frozen=True, slots=True, kw_only=True)
class ImageData(ImageSource):
    """Images and labels from image files; its tops are inputs of the converted network.

    | parameter | default | meaning |
    |---|---|---|
    | image_data_param.source | | a text file, each line a file name, a space and a label |
    | image_data_param.root_folder | | text put in front of each file name |
    | image_data_param.batch_size | 1 | images in a batch |
    | image_data_param.new_height, new_width | 0 | size that images are resized to, both or neither; 0: their own |
    | image_data_param.is_color | true | decode into blue, green, red; false: into one grey channel |
    | image_data_param.shuffle | false | read the list in a new random order in each pass |
    | image_data_param.rand_skip | 0 | begin at a random one of the first rand_skip images; 0: at the first |
    | transform_param.crop_size | 0 | height and width, cut at the centre in TEST, at random in TRAIN; 0: whole images |
    | transform_param.mean_file | | mean image to subtract, as large as the images before they are cropped |
    | transform_param.mean_value | | instead: one value to subtract from all channels, or one for each channel |
    | transform_param.scale | 1 | factor after the subtraction |
    | transform_param.mirror | false | flip the columns of half of the images, drawn at random, in TEST, too |

    Tops: images (N, C, H, W) and labels (N). C is 3 or 1 by is_color.

    The files are not read, so the shape of the images is inferred. H and W are crop_size, else new_height and
    new_width, else those of the mean image; if none is known, give the shape.

    Ignored, as in Caffe: transform_param.force_color and force_gray, and the old image_data_param.scale, mean_file,
    crop_size and mirror of a layer in the modern format (the upgrade of an old format moves them to transform_param).

    Source: ``src/caffe/layers/image_data_layer.cpp``, ``src/caffe/data_transformer.cpp``.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read source and transformation."""
        p, transform = proto.message.image_data_param, proto.message.transform_param
        if (p.new_height > 0) != (p.new_width > 0):
            raise LayerError(
                "image_data_param.new_height and new_width must be given together, "
                f"not as {p.new_height} and {p.new_width}"
            )
        batch = read_batch_size(p, "image_data_param")
        preprocessing = read_transform(proto)
        channels = 3 if p.is_color else 1
        if len(transform.mean_value) not in (0, 1, channels):
            raise LayerError(
                f"transform_param.mean_value must be given once, or once for each of the {channels} channels; "
                f"{len(transform.mean_value)} are given"
            )
        resize = (p.new_height, p.new_width) if p.new_height else None
        check_crop(transform.crop_size, resize or ())
        return cls(
            shapes=(image_shape(batch, channels, transform.crop_size, resize), label_shape(batch)),
            names=proto.tops,
            channels=channels,
            source=DataSource(
                kind=SourceKind.IMAGE_LIST,
                path=p.source,
                batch_size=batch,
                root_folder=p.root_folder,
                shuffle=p.shuffle,
                rand_skip=p.rand_skip,
                labels=1,
            ),
            preprocessing=replace(preprocessing, color=Color.BGR if p.is_color else Color.GRAY, resize=resize),
        )
