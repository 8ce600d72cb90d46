"""PReLU: a ReLU with trained slopes for negative values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, keras
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Arrangement, BlobSpec, Context, Elementwise
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["PReLU"]


@register("PReLU")
@dataclass(frozen=True, slots=True, kw_only=True)
class PReLU(Elementwise):
    """``y = maximum(x, 0) + a * minimum(x, 0)``, with a slope a for each channel (axis 1) or one for all.

    | parameter (``prelu_param``) | default | meaning |
    |---|---|---|
    | channel_shared | false | one slope for all channels |
    | filler | constant 0.25 | initial values of the slopes |

    Bottoms: one, of 2 to 5 axes. Tops: one, of the same shape.

    Trained blobs: the slopes, (channels), or () if `channel_shared`. Keras weight: ``alpha``.

    Deviations: BVLC's Caffe refuses bottoms of 5 axes; forks for volumes accept them.

    Source: ``src/caffe/layers/prelu_layer.cpp``.
    """

    channel_shared: bool
    filler: Filler

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``prelu_param``."""
        p = proto.message.prelu_param
        filler = Filler.read(p.filler) if p.HasField("filler") else Filler(value=0.25)
        return cls(channel_shared=p.channel_shared, filler=filler)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom."""
        if not 2 <= len(inputs[0]) <= 5:
            raise LayerError(f"the bottom of a PReLU must have 2 to 5 axes, not {format_shape(inputs[0])}")
        return (inputs[0],)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return the slopes."""
        shape = () if self.channel_shared else known(inputs[0][1:2], "the channels of a PReLU's input")
        return (BlobSpec(name="slope", shape=shape, filler=self.filler),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout if the batch is the first axis, as Keras' PReLU requires."""
        del outputs
        layout = inputs[0].layout
        layout = layout if layout.axes[0] == 0 else Layout.plain(inputs[0].rank)
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' PReLU with slopes shared along all axes but the channels."""
        del ctx
        shared = self._shared_axes(inputs[0])
        return keras("PReLU", shared_axes=shared or OMIT)(inputs[0])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Convert the slopes, with extent 1 along the axes where they are shared."""
        x = ctx.inputs[0]
        shared = self._shared_axes(x)
        slopes = blobs[0].array.reshape(-1)
        views = [slopes] if self.channel_shared else x.layout.ordered_views(slopes)
        return {"alpha": blobs[0].joined(views, [1 if i in shared else slopes.size for i in range(1, x.rank)])}

    def _shared_axes(self, x: Value) -> tuple[int, ...]:
        return tuple(i for i in range(1, x.rank) if self.channel_shared or x.layout.axes[i] != 1)
