"""SimpleCrop: the upper left part of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.layers.registry import register
from caffe2tf.layers.shape.crop import Crop
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["SimpleCrop"]


@register("SimpleCrop")
@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleCrop(Crop):
    """The first bottom's upper left part, as high and wide as the second bottom; of forks.

    One fork names the second blob in ``crop_param { blob_name }``, without reading it as a bottom: make it one.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)
    reads_unknown: ClassVar[tuple[str, ...]] = ("crop_param",)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Two bottoms there must be."""
        forbid_in_place(proto)
        given = proto.extra.block("crop_param").only("blob_name")
        if len(proto.bottoms) == 1:
            name = given.get("blob_name")
            if name is None:
                raise LayerError("a SimpleCrop layer takes 2 bottoms, 1 given")
            raise LayerUnsupportedError(
                f"crop_param.blob_name names a blob that the layer does not read; write it as its second bottom in "
                f'place of crop_param: bottom: "{name}"'
            )
        return cls(axis=2, offset=())

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The second bottom's height and width."""
        for shape in inputs:
            if len(shape) != 4:
                raise LayerError(f"both bottoms must have 4 axes, not {format_shape(shape)}")
        return Crop.infer(self, *inputs)
