"""LRN: local response normalization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime, short
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["LRN"]


@register("LRN")
@dataclass(frozen=True, slots=True, kw_only=True)
class LRN(Layer):
    """Each value, made smaller where the values around it are large.

    - ACROSS_CHANNELS: ``y = x / (k + alpha / local_size * sum(x * x)) ** beta``, summed over local_size channels.
    - WITHIN_CHANNEL: ``y = x / (1 + alpha / local_size ** 2 * sum(x * x)) ** beta``, summed over a square of
      local_size by local_size places of the same channel. Caffe does not use k here.

    Outside the input x is 0.

    | parameter | default | meaning |
    |---|---|---|
    | local_size | 5 | an odd number |
    | alpha | 1 | |
    | beta | 0.75 | |
    | k | 1 | ACROSS_CHANNELS alone |
    | norm_region | ACROSS_CHANNELS | or WITHIN_CHANNEL |

    In place it computes the same, as Caffe does on a GPU; Caffe's CPU code overwrites x before it has used it.
    """

    local_size: int
    alpha: float
    beta: float
    k: float
    within_channel: bool

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.lrn_param
        if p.local_size % 2 == 0:
            raise LayerError(f"lrn_param.local_size must be an odd number, not {p.local_size}")
        return cls(
            local_size=p.local_size,
            alpha=p.alpha,
            beta=p.beta,
            k=p.k,
            within_channel=p.norm_region == type(p).WITHIN_CHANNEL,
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of the bottom."""
        if len(inputs[0]) != 4:
            raise LayerError(f"LRN takes an input of 4 axes (N, C, H, W), not {len(inputs[0])}")
        return (inputs[0],)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last."""
        return Arrangement(inputs=(Layout.channels_last(4),), outputs=(Layout.channels_last(4),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own, for its arguments to be Caffe's."""
        alpha, beta = short(self.alpha), short(self.beta)
        if self.within_channel:
            return runtime("LRNWithinChannel", self.local_size, alpha=alpha, beta=beta)(inputs[0])
        return runtime("LRN", self.local_size, alpha=alpha, beta=beta, k=short(self.k))(inputs[0])
