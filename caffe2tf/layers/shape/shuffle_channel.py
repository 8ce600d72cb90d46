"""ShuffleChannel: interleaves the channels of several groups (ShuffleNet)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime, unless
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.extents import known
from caffe2tf.layers.four_axes import four_axes, to_four_axes, widened
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["ShuffleChannel"]


@register("ShuffleChannel")
@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleChannel(Layer):
    """``y[n, j * group + i] = x[n, i * (C / group) + j]``: the channels of several groups, interleaved.

    The first channel of each group comes first, then the second channel of each group, and so on. The layer cannot work
    in place: Caffe would overwrite channels before moving them. With one group, it can.

    | parameter (``shuffle_channel_param``) | default | meaning |
    |---|---|---|
    | group | 1 | number of groups; it divides the number of channels |

    Bottoms: one, of 2 to 4 axes, (N, C, H, W). Tops: one, of 4 axes: those of the bottom, then axes of extent 1.
    Trained blobs: none.

    Source: forks for ShuffleNet, for example ``src/caffe/layers/shuffle_channel_layer.cpp`` of
    github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe; BVLC has no such layer.
    """

    group: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``shuffle_channel_param``, and check that the layer does not work in place."""
        group = proto.message.shuffle_channel_param.group
        if group < 1:
            raise LayerError(f"shuffle_channel_param.group must be 1 or more, not {group}")
        if group > 1 and proto.bottoms[0] == proto.tops[0]:
            raise LayerError(
                f"ShuffleChannel cannot work in place: give its top another name than {proto.tops[0]!r} "
                "(Caffe would overwrite channels before moving them)"
            )
        return cls(group=group)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom, with axes of extent 1 appended up to four."""
        shape = four_axes(inputs[0], "ShuffleChannel")
        (channels,) = known(shape[1:2], "the channels of ShuffleChannel's input")
        if channels % self.group:
            raise LayerError(
                f"the number of channels of the bottom ({channels} of {format_shape(inputs[0])}) must be a multiple of "
                f"shuffle_channel_param.group ({self.group})"
            )
        return (shape,)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout of four axes; use channels last for fewer."""
        del outputs
        layout, wide = widened(inputs[0])
        return Arrangement(inputs=(layout,), outputs=(wide,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer, as Keras has no such layer; nothing if no channel moves."""
        x = inputs[0]
        if self.group in (1, x.shape[1]):
            return to_four_axes(x, x, ctx.outputs[0])
        axis = x.layout.tensor_axis(1)
        last = -1 if axis == x.rank - 1 else axis
        role = "" if x.rank == 4 else "shuffle"  # the last layer has no role, which for fewer axes is the Reshape
        shuffle = runtime("ShuffleChannel", self.group, axis=unless(last, -1), role=role)
        return to_four_axes(shuffle(x), x, ctx.outputs[0])
