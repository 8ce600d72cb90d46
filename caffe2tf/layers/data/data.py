"""Data: images and labels from a LevelDB or LMDB database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.ir.preprocessing import Backend, DataSource, SourceKind
from caffe2tf.layers.data.image_base import (
    ImageSource,
    guess_channels,
    image_shape,
    label_shape,
    read_batch_size,
    read_transform,
)
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Data"]

_LMDB = 1  # the number in the schema's enum; 0 is LevelDB


@register("Data")
@dataclass(frozen=True, slots=True, kw_only=True)
class Data(ImageSource):
    """Images and labels from a database; its tops are inputs of the converted network.

    | parameter | default | meaning |
    |---|---|---|
    | data_param.source | | the folder of the database |
    | data_param.backend | LEVELDB | LEVELDB or LMDB |
    | data_param.batch_size | none | images in a batch |
    | transform_param.force_color | false | decode encoded images into blue, green, red |
    | transform_param.force_gray | false | decode encoded images into one channel; not together with force_color |
    | transform_param.crop_size | 0 | height and width, cut at the centre in TEST, at random in TRAIN; 0: whole images |
    | transform_param.mean_file | | mean image to subtract, as large as the images before they are cropped |
    | transform_param.mean_value | | instead: one value to subtract from all channels, or one for each channel |
    | transform_param.scale | 1 | factor after the subtraction |
    | transform_param.mirror | false | flip the columns of half of the images, drawn at random, in TEST, too |

    Tops: images (N, C, H, W) and, if there is a second top, labels (N).

    The database is not read, so the shape of the images is inferred. C is the number of channels of the mean image,
    else 1 with force_gray, else the number of mean values, else 3. H and W are crop_size, else those of the mean image;
    if neither is known, give the shape.

    Caffe reads the records in bytewise order of their keys, without end. Channels of a raw Datum stay in their stored
    order (``convert_imageset`` stores blue, green, red); force_color and force_gray concern encoded images alone.

    Ignored, as in Caffe: data_param.rand_skip, prefetch, force_encoded_color, and the old data_param.scale, mean_file,
    crop_size and mirror of a layer in the modern format (the upgrade of an old format moves them to transform_param).

    Source: ``src/caffe/layers/data_layer.cpp``, ``src/caffe/data_transformer.cpp``.
    """

    tops: ClassVar[tuple[int, int | None]] = (1, 2)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read source and transformation."""
        p, transform = proto.message.data_param, proto.message.transform_param
        batch = read_batch_size(p, "data_param")
        preprocessing = read_transform(proto)
        images = image_shape(batch, guess_channels(transform), transform.crop_size, None)
        return cls(
            shapes=(images, label_shape(batch))[: len(proto.tops)],
            names=proto.tops,
            source=DataSource(
                kind=SourceKind.DATABASE,
                path=p.source,
                backend=Backend.LMDB if p.backend == _LMDB else Backend.LEVELDB,
                batch_size=batch,
                labels=len(proto.tops) - 1,
            ),
            preprocessing=preprocessing,
        )
