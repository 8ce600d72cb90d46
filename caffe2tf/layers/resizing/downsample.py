"""Downsample: images made smaller by weighted means that ignore NaN (FlowNet)."""

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
    """Images resized to the size of the second bottom, or to `top_height` and `top_width`, by weighted means.

    Along an axis of n input and m output values, output value i lies at input position ``i * (n - 1) / (m - 1)``, so
    that corners stay corners, and output values are ``d = (n - 1) / (m - 1)`` pixels apart. Each output value is the
    mean of the pixels closer than d, weighted by ``1 - distance / d`` along both axes.

    NaN pixels are ignored. If their weight is more than half that of the other pixels, the output is NaN. It is NaN,
    too, if no pixel is close enough, which happens along an axis that gets larger.

    | parameter (``downsample_param``) | default | meaning |
    |---|---|---|
    | top_height, top_width | required with one bottom | size of the output |

    Bottoms: (N, C, H, W), and optionally (any, any, H', W'), of which only the shape matters. Tops: one, (N, C, H',
    W'). Trained blobs: none.

    Deviations: FlowNet's code has no backward pass; this layer has gradients.

    Source: ``lmb-freiburg/flownet2``, ``src/caffe/layers/downsample_layer.cu``.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``downsample_param``."""
        p = proto.message.downsample_param
        return cls(size=cls.stated(proto, p.top_height, p.top_width, "downsample_param.top_height and top_width"))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the first bottom with the new size; extents that change must not be 1."""
        shapes = Resized.infer(self, *inputs)
        before, after = image_size(inputs[0]), image_size(shapes[0])
        if before != after and 1 in (*before, *after):
            raise LayerError(
                "height and width before and after a Downsample must be 2 or more, as it divides by one less: "
                f"they are {format_shape(before)} and {format_shape(after)}"
            )
        return shapes

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer, or nothing if the size does not change."""
        after = image_size(ctx.outputs[0].shape)
        return inputs[0] if image_size(inputs[0].shape) == after else runtime("Downsample", after)(inputs[0])
