"""Downsample: images made smaller, leaving out what is not a number (FlowNet)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.layer import Context
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.resizing.resize_base import Resized, image_size

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Downsample"]


@register("Downsample")
@dataclass(frozen=True, slots=True, kw_only=True)
class Downsample(Resized):
    """Images brought to the size of the second bottom, or to `top_height` and `top_width`; corners stay corners.

    Each value is the mean of the pixels less than one distance between values away, weighted by their nearness along
    both axes. Pixels that are not numbers are left out; where these weigh more than half as much as the others, the
    result is not a number. Nor is it where an axis gets larger and no pixel is that near.

    | parameter | default | meaning |
    |---|---|---|
    | top_height, top_width | required with one bottom | size of the result |

    Of the second bottom only the shape matters. FlowNet's code has no backward pass; this one has gradients.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.downsample_param
        return cls(size=cls.stated(proto, p.top_height, p.top_width, "downsample_param.top_height and top_width"))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The first bottom's shape with the other size."""
        shapes = Resized.infer(self, *inputs)
        before, after = image_size(inputs[0]), image_size(shapes[0])
        if before != after and 1 in (*before, *after):
            raise LayerError(
                "height and width must be 2 or more in front of a Downsample and behind it, as it divides by one less: "
                f"they are {format_shape(before)} and {format_shape(after)}"
            )
        return shapes

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A runtime layer; nothing where the size stays."""
        after = image_size(ctx.outputs[0].shape)
        return inputs[0] if image_size(inputs[0].shape) == after else runtime("Downsample", after)(inputs[0])
