"""SimpleCrop: the upper left region of an image."""

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
    """``y[n, c, h, w] = x[n, c, h, w]`` for the height and width of the second bottom: the upper left region.

    Only the shape of the second bottom matters. The layer cannot work in place.

    | parameter (``crop_param``) | default | meaning |
    |---|---|---|
    | blob_name | none | one fork: a blob of that size; not supported, give it as the second bottom |

    Bottoms: two, (N, C, H, W) and (any, any, H', W'). Tops: one, (N, C, H', W'). Trained blobs: none.

    Source: forks of Caffe; BVLC has no such layer.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)
    reads_unknown: ClassVar[tuple[str, ...]] = ("crop_param",)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Check that there are two bottoms; explain what to write in place of ``blob_name``."""
        forbid_in_place(proto)
        given = proto.extra.block("crop_param").only("blob_name")
        if len(proto.bottoms) == 1:
            name = given.get("blob_name")
            if name is None:
                raise LayerError("a SimpleCrop layer takes 2 bottoms, 1 given")
            raise LayerUnsupportedError(
                f"crop_param.blob_name is not supported, as it names a blob that is no bottom of the layer; replace "
                f'crop_param by a second bottom: bottom: "{name}"'
            )
        return cls(axis=2, offset=())

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the first bottom's shape with the second bottom's height and width."""
        for shape in inputs:
            if len(shape) != 4:
                raise LayerError(f"both bottoms must have 4 axes, not {format_shape(shape)}")
        return Crop.infer(self, *inputs)
