"""LRN: local response normalization across channels or within a channel."""

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
    """Local response normalization.

    - ACROSS_CHANNELS: ``y = x / (k + alpha / local_size * sum(x * x)) ** beta``, where the sum runs over `local_size`
      adjacent channels.
    - WITHIN_CHANNEL: ``y = x / (1 + alpha / local_size ** 2 * sum(x * x)) ** beta``, where the sum runs over a window
      of `local_size` x `local_size` positions in the same channel.

    Values outside the input count as 0.

    | parameter (``lrn_param``) | default | meaning |
    |---|---|---|
    | local_size | 5 | number of channels, or extent of the window; odd |
    | alpha | 1 | factor of the sum |
    | beta | 0.75 | exponent |
    | k | 1 | constant in the denominator; used for ACROSS_CHANNELS only |
    | norm_region | ACROSS_CHANNELS | or WITHIN_CHANNEL |

    Bottoms: one, (N, C, H, W). Tops: one, of the same shape. Trained blobs: none.

    Deviations: Caffe's CPU code overwrites its input too early when the layer works in place. The result here is that
    of Caffe's GPU code, the same as out of place.

    Source: ``src/caffe/layers/lrn_layer.cpp``.
    """

    local_size: int
    alpha: float
    beta: float
    k: float
    within_channel: bool

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``lrn_param``."""
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
        """Return the shape of the bottom, which must have 4 axes."""
        if len(inputs[0]) != 4:
            raise LayerError(f"LRN takes an input of 4 axes (N, C, H, W), not {len(inputs[0])}")
        return (inputs[0],)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC."""
        return Arrangement(inputs=(Layout.channels_last(4),), outputs=(Layout.channels_last(4),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer with Caffe's arguments; Keras has no LRN layer."""
        alpha, beta = short(self.alpha), short(self.beta)
        if self.within_channel:
            return runtime("LRNWithinChannel", self.local_size, alpha=alpha, beta=beta)(inputs[0])
        return runtime("LRN", self.local_size, alpha=alpha, beta=beta, k=short(self.k))(inputs[0])
