"""Normalize: values divided by their Euclidean norm, and scaled."""

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
    """``y = scale * x / sqrt(sum(x ** 2) + eps)``, the sum over each image, or over the channels at each place.

    | parameter (norm_param; of a NormalizeBBox: normalize_bbox_param) | default | meaning |
    |---|---|---|
    | across_spatial | true | one norm for each image; false: one for each place of it |
    | channel_shared | true | one scale for all channels; false: one for each |
    | scale_filler | constant 1 | what fills an untrained scale |
    | eps | 1e-10 | keeps the norm of zeros from being 0 |

    Trained blobs: scale (channels), or one number (no axes) where it is shared. Keras weight: ``scale``. As in Caffe,
    the bottom has 2 to 4 axes, of which axis 1 holds the channels.
    """

    across_spatial: bool
    channel_shared: bool
    eps: float
    filler: Filler

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters, from the block of whichever fork."""
        message = proto.message
        early = message.HasField("normalize_bbox_param")
        p = message.normalize_bbox_param if early else message.norm_param
        filler = Filler.read(p.scale_filler) if p.HasField("scale_filler") else Filler(value=1.0)
        return cls(across_spatial=p.across_spatial, channel_shared=p.channel_shared, eps=p.eps, filler=filler)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of the bottom."""
        if not 2 <= len(inputs[0]) <= 4:
            raise LayerError(f"the bottom of a Normalize must have 2 to 4 axes, not {format_shape(inputs[0])}")
        return (inputs[0],)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """The scale."""
        shape = () if self.channel_shared else known(inputs[0][1:2], "the channels of a Normalize's input")
        return (BlobSpec(name="scale", shape=shape, filler=self.filler),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own: Keras' UnitNormalization has another epsilon, and no scale."""
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
        """The scale, in the order in which the channels arrive."""
        if self.channel_shared:
            return {"scale": blobs[0].weight(shape=())}
        scale = blobs[0].array.reshape(-1)
        return {"scale": blobs[0].joined(ctx.inputs[0].layout.ordered_views(scale), scale.shape)}
