"""PReLU: a rectifier with a trained slope for negative values."""

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
    """``y = max(x, 0) + a * min(x, 0)``, a for each channel (axis 1) or for all of them.

    | parameter | default | meaning |
    |---|---|---|
    | channel_shared | false | one slope for all channels |
    | filler | constant 0.25 | what fills untrained slopes |

    Trained blobs: a (channels), or one number (no axes) where it is shared. Keras weight: ``alpha``. The
    bottom has 2 to 5 axes; BVLC's Caffe, unlike those that are made for volumes, refuses the fifth.
    """

    channel_shared: bool
    filler: Filler

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.prelu_param
        filler = Filler.read(p.filler) if p.HasField("filler") else Filler(value=0.25)
        return cls(channel_shared=p.channel_shared, filler=filler)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of the bottom."""
        if not 2 <= len(inputs[0]) <= 5:
            raise LayerError(f"the bottom of a PReLU must have 2 to 5 axes, not {format_shape(inputs[0])}")
        return (inputs[0],)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """The slopes."""
        shape = () if self.channel_shared else known(inputs[0][1:2], "the channels of a PReLU's input")
        return (BlobSpec(name="slope", shape=shape, filler=self.filler),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any order that has the batch in front, as Keras' PReLU takes it."""
        del outputs
        layout = inputs[0].layout
        layout = layout if layout.axes[0] == 0 else Layout.plain(inputs[0].rank)
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' PReLU, its slopes shared along the axes where Caffe's are."""
        del ctx
        shared = self._shared_axes(inputs[0])
        return keras("PReLU", shared_axes=shared or OMIT)(inputs[0])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """The slopes with axes of extent 1 where they are shared."""
        x = ctx.inputs[0]
        shared = self._shared_axes(x)
        slopes = blobs[0].array.reshape(-1)
        views = [slopes] if self.channel_shared else x.layout.ordered_views(slopes)
        return {"alpha": blobs[0].joined(views, [1 if i in shared else slopes.size for i in range(1, x.rank)])}

    def _shared_axes(self, x: Value) -> tuple[int, ...]:
        return tuple(i for i in range(1, x.rank) if self.channel_shared or x.layout.axes[i] != 1)
