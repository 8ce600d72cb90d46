"""Norms of vectors without parameters: Normalization (face recognition) and ChannelNorm (FlowNet 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime, unless
from caffe2tf.ir.layer import Arrangement, Context, Elementwise, Layer
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.four_axes import four_axes, to_four_axes, widened
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["ChannelNorm", "Normalization"]


@register("Normalization")
@dataclass(frozen=True, slots=True, kw_only=True)
class Normalization(Elementwise):
    """``y[n] = x[n] / sqrt(sum(x[n] ** 2))``, summed over all values of item n.

    An item of zeros becomes NaN. A few forks divide by the norm over the channels at each position instead; a note says
    which rule was chosen. The layer Normalize is another one.

    Parameters: none.

    Bottoms: one, (N, ...). Tops: one, of the same shape. Trained blobs: none.

    Source: forks for face recognition and metric learning, for example ``src/caffe/layers/normalization_layer.cpp`` of
    github.com/chenbinghui1/Hybrid-Attention-based-Decoupled-Metric-Learning.
    """

    def remarks(self) -> tuple[str, ...]:
        """Return which of the layers of this name it was read as."""
        remark = (
            "Normalization was read as dividing each item by the norm of all its values; "
            "a few forks divide by the norm over the channels at each position instead"
        )
        return (remark,)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras' UnitNormalization returns zeros for zeros."""
        del ctx
        x = inputs[0]
        return runtime("Normalization", axis=unless(x.layout.tensor_axis(0) if x.rank else 0, 0))(x)


@register("ChannelNorm")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelNorm(Layer):
    """``y[n, 0, h, w] = sqrt(sum over c of x[n, c, h, w] ** 2)``.

    Parameters: none. The layer must not be in place.

    Bottoms: one, of 2 to 4 axes, (N, C, H, W). Tops: one, (N, 1, H, W), where missing axes have extent 1.

    Trained blobs: none.

    Source: ``src/caffe/layers/channel_norm_layer.cpp`` of github.com/lmb-freiburg/flownet2.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Check that the layer is not in place, as its top has another shape."""
        if proto.bottoms[0] == proto.tops[0]:
            raise LayerError(
                f"ChannelNorm must not be computed in place: give its top another name than {proto.tops[0]!r}"
            )
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape with four axes and one channel."""
        shape = four_axes(inputs[0], "ChannelNorm")
        return ((shape[0], 1, *shape[2:]),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout of four axes; put the channels last if there are fewer."""
        del outputs
        layout, wide = widened(inputs[0])
        return Arrangement(inputs=(layout,), outputs=(wide,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras has no layer that returns norms."""
        x = inputs[0]
        axis = x.layout.tensor_axis(1)
        last = -1 if axis == x.rank - 1 else axis
        role = "" if x.rank == 4 else "length"  # "" is for the last layer, which is a Reshape for fewer axes
        return to_four_axes(runtime("ChannelNorm", axis=unless(last, -1), role=role)(x), x, ctx.outputs[0])
