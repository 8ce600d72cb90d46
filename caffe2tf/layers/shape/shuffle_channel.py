"""ShuffleChannel: channels of several groups, dealt out in turn (ShuffleNet)."""

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
    """``y[n, j * group + i] = x[n, i * (C / group) + j]``: the first of each group, then the second of each, ...

    The output has four axes; an input of fewer gets axes of extent 1 at its end.

    | parameter | default | meaning |
    |---|---|---|
    | group | 1 | count of groups, of which the count of channels is a multiple; in ``shuffle_channel_param`` |

    Caffe does not compute it in place: it would overwrite channels before it has moved them.
    """

    group: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The count of groups, and the rule on its top."""
        group = proto.message.shuffle_channel_param.group
        if group < 1:
            raise LayerError(f"shuffle_channel_param.group must be 1 or more, not {group}")
        if group > 1 and proto.bottoms[0] == proto.tops[0]:
            raise LayerError(
                f"ShuffleChannel must not be computed in place: give its top another name than {proto.tops[0]!r} "
                "(Caffe would overwrite channels before it has moved them)"
            )
        return cls(group=group)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of the bottom, with four axes."""
        shape = four_axes(inputs[0], "ShuffleChannel")
        (channels,) = known(shape[1:2], "the channels of ShuffleChannel's input")
        if channels % self.group:
            raise LayerError(
                f"the {channels} channels of the input ({format_shape(inputs[0])}) must be a multiple of "
                f"shuffle_channel_param.group ({self.group})"
            )
        return (shape,)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any order of four axes; fewer have the channels last."""
        del outputs
        layout, wide = widened(inputs[0])
        return Arrangement(inputs=(layout,), outputs=(wide,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own, unless all channels stay where they are."""
        x = inputs[0]
        if self.group in (1, x.shape[1]):
            return to_four_axes(x, x, ctx.outputs[0])
        axis = x.layout.tensor_axis(1)
        last = -1 if axis == x.rank - 1 else axis
        role = "" if x.rank == 4 else "shuffle"  # the outermost layer has none, and fewer axes are reshaped at the end
        shuffle = runtime("ShuffleChannel", self.group, axis=unless(last, -1), role=role)
        return to_four_axes(shuffle(x), x, ctx.outputs[0])
