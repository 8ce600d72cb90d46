"""WindowData: windows of images and their classes, as R-CNN trains on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import short
from caffe2tf.ir.preprocessing import Color, DataSource, SourceKind, Warp, WindowSampling
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
    from caffe2tf.proto.caffe_pb2 import WindowDataParameter

__all__ = ["WindowData"]


@register("WindowData")
@dataclass(frozen=True, slots=True, kw_only=True)
class WindowData(ImageSource):
    """Windows of images and their classes; its tops are inputs of the converted network.

    | parameter | default | meaning |
    |---|---|---|
    | window_data_param.source | | a text file of images and the boxes in them |
    | window_data_param.root_folder | | text put in front of each file name |
    | window_data_param.batch_size | none | windows in a batch |
    | window_data_param.fg_threshold | 0.5 | boxes with at least this overlap are foreground |
    | window_data_param.bg_threshold | 0.5 | other boxes with less than this overlap are background, with label 0 |
    | window_data_param.fg_fraction | 0.25 | share of foreground windows in a batch, which stand last |
    | window_data_param.context_pad | 0 | border around the box, in pixels of the top |
    | window_data_param.crop_mode | warp | square: widen the box to a square; anything else: distort it to a square |
    | window_data_param.cache_images | false | keep the image files in memory |
    | window_data_param.scale | 1 | factor after the subtraction |
    | transform_param.crop_size | required | height and width of the warped windows |
    | transform_param.mean_file | | mean image to subtract, from offset (its width - crop_size) / 2 along both axes on |
    | transform_param.mean_value | | instead: one value to subtract from all channels, or one for each channel |
    | transform_param.mirror | false | flip the columns of half of the windows, drawn at random, in TEST, too |

    Tops: windows (N, C, crop_size, crop_size), colours as blue, green, red; and labels (N).

    The files are not read. C is the number of channels of the mean image, else the number of mean values, else 3.
    Parts of a window outside its image are 0. Windows are drawn at random, in TEST, too.

    Ignored, as in Caffe: transform_param.scale, and the old window_data_param.mean_file, crop_size and mirror. The
    upgrade of a definition in an old format moves window_data_param.scale to transform_param.scale, where it has no
    effect, in Caffe as here.

    Source: ``src/caffe/layers/window_data_layer.cpp``.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read source, sampling and warping."""
        p, transform = proto.message.window_data_param, proto.message.transform_param
        batch = read_batch_size(p, "window_data_param")
        preprocessing = read_transform(proto)
        edge = transform.crop_size
        if edge < 1:
            raise LayerError("transform_param.crop_size must be given, and 1 or more, for windows")
        square = p.crop_mode == "square"
        return cls(
            shapes=(image_shape(batch, guess_channels(transform), edge, None), label_shape(batch)),
            names=proto.tops,
            source=_source(p, batch),
            preprocessing=replace(
                preprocessing,
                color=Color.BGR,
                crop=None,
                warp=Warp(size=edge, context_pad=p.context_pad, crop_mode="square" if square else "warp"),
                scale=short(p.scale),
            ),
        )


def _source(p: WindowDataParameter, batch: int | None) -> DataSource:
    return DataSource(
        kind=SourceKind.WINDOWS,
        path=p.source,
        batch_size=batch,
        root_folder=p.root_folder,
        labels=1,
        windows=WindowSampling(
            fg_threshold=short(p.fg_threshold),
            bg_threshold=short(p.bg_threshold),
            fg_fraction=short(p.fg_fraction),
            cache_images=p.cache_images,
        ),
    )
