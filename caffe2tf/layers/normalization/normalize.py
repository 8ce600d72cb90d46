"""Normalize: division by the Euclidean norm, with a trained scale (SSD)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, Literal, runtime, short, unless
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import BlobSpec, Context, Elementwise
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Normalize"]


@register("Normalize", "NormalizeBBox")
@dataclass(frozen=True, slots=True, kw_only=True)
class Normalize(Elementwise):
    """``y = scale * x / sqrt(sum(x ** 2) + eps)``, summed over each image, or over the channels at each position.

    | parameter (``norm_param``) | default | meaning |
    |---|---|---|
    | across_spatial | true | one norm for each image; false: one for each position |
    | channel_shared | true | one scale for all channels; false: one for each |
    | scale_filler | constant 1 | initial values of the scale |
    | eps | 1e-10 | keeps the norm of zeros from being 0 |

    NormalizeBBox is the name of the layer in an early version of SSD, with the same fields in ``normalize_bbox_param``.

    Bottoms: one, of 2 to 4 axes, (N, C, H, W). Tops: one, of the same shape.

    Trained blobs: scale, (C), or () if `channel_shared`. Keras weights: ``scale``, of the same shape.

    Source: ``src/caffe/layers/normalize_layer.cpp`` of github.com/weiliu89/caffe.
    """

    across_spatial: bool
    channel_shared: bool
    eps: float
    filler: Filler

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``norm_param``, or ``normalize_bbox_param`` if given."""
        message = proto.message
        early = message.HasField("normalize_bbox_param")
        p = message.normalize_bbox_param if early else message.norm_param
        filler = Filler.read(p.scale_filler) if p.HasField("scale_filler") else Filler(value=1.0)
        return cls(across_spatial=p.across_spatial, channel_shared=p.channel_shared, eps=p.eps, filler=filler)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom, which must have 2 to 4 axes."""
        if not 2 <= len(inputs[0]) <= 4:
            raise LayerError(f"the bottom of a Normalize must have 2 to 4 axes; its shape is {format_shape(inputs[0])}")
        return (inputs[0],)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return the scale."""
        shape = () if self.channel_shared else known(inputs[0][1:2], "the channels of a Normalize's input")
        return (BlobSpec(name="scale", shape=shape, filler=self.filler),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras' UnitNormalization has a fixed epsilon and no scale."""
        del ctx
        x = inputs[0]
        channels = x.layout.tensor_axis(1)
        last = x.rank - 1
        axis: Literal = OMIT if channels == last else channels
        if self.across_spatial and x.rank > 2:
            axis = tuple(i for i, a in enumerate(x.layout.axes) if a != 0)
        return runtime(
            "Normalize",
            axis=axis,
            scale_axis=None if self.channel_shared else OMIT if channels == last else channels,
            epsilon=unless(short(self.eps), 1e-10),
        )(x)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Convert the scale, in the order of the tensor's channels."""
        if self.channel_shared:
            return {"scale": blobs[0].weight(shape=())}
        scale = blobs[0].array.reshape(-1)
        return {"scale": blobs[0].joined(ctx.inputs[0].layout.ordered_views(scale), scale.shape)}
