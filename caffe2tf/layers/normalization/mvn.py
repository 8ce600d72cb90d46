"""MVN: mean-variance normalization of each channel or image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime, short, unless
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["MVN"]


@register("MVN")
@dataclass(frozen=True, slots=True, kw_only=True)
class MVN(Layer):
    """``y = (x - mean(x)) / (sqrt(mean((x - mean(x)) ** 2)) + eps)`` for each channel of each image, or each image.

    | parameter (``mvn_param``) | default | meaning |
    |---|---|---|
    | normalize_variance | true | false: ``y = x - mean(x)`` |
    | across_channels | false | all channels of an image share one mean and one variance |
    | eps | 1e-9 | added to the standard deviation |

    Bottoms: one, of at most 4 axes, (N, C, H, W). Tops: one, of 4 axes: those of the bottom, then axes of extent 1.

    Trained blobs: none.

    Source: ``src/caffe/layers/mvn_layer.cpp``.
    """

    normalize_variance: bool
    across_channels: bool
    eps: float

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``mvn_param``."""
        p = proto.message.mvn_param
        return cls(normalize_variance=p.normalize_variance, across_channels=p.across_channels, eps=p.eps)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom, with axes of extent 1 appended up to four."""
        shape = inputs[0]
        if len(shape) > 4:
            raise LayerError(f"MVN takes an input of at most 4 axes, not {len(shape)}")
        return ((*shape, *(1,) * (4 - len(shape))),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout of four axes; read fewer axes in Caffe's order."""
        x = inputs[0]
        if x.rank == 4:
            return Arrangement(inputs=(x.layout,), outputs=(x.layout,))
        return Arrangement(inputs=(Layout.plain(x.rank),), outputs=(Layout.plain(4),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras' normalization layers add epsilon to the variance."""
        layout = ctx.outputs[0].layout
        axes = tuple(sorted(layout.tensor_axis(a) for a in range(1 if self.across_channels else 2, 4)))
        return runtime(
            "MVN",
            axes,
            normalize_variance=unless(self.normalize_variance, True),  # noqa: FBT003 - the runtime layer's default
            epsilon=unless(short(self.eps), 1e-9),
        )(inputs[0])
