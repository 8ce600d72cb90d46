"""FlowWarp: an image sampled at the positions that a flow points to (FlowNet 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime, unless
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["FlowWarp"]


@register("FlowWarp")
@dataclass(frozen=True, slots=True, kw_only=True)
class FlowWarp(Layer):
    """``y[p] = x[p + flow[p]]``, interpolated bilinearly; all channels use the same flow.

    The flow is in pixels; its first channel is the displacement along the width, its second along the height. The
    position must be at least 0 and less than the extent along both axes. Beyond the center of the last pixel of an
    axis the value of that pixel is used.

    | parameter (``flow_warp_param``) | default | meaning |
    |---|---|---|
    | fill_value | ZERO | ZERO or NOT_A_NUMBER: the output if the position is outside the image, or is NaN |

    Bottoms: image (N, C, H, W) and flow (N, 2, H, W). Tops: one, (N, C, H, W). Trained blobs: none.

    Source: ``lmb-freiburg/flownet2``, ``src/caffe/layers/flow_warp_layer.cu``.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    fill_value: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``flow_warp_param``."""
        p = proto.message.flow_warp_param
        return cls(fill_value=p.FillParameter.Name(p.fill_value))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the image."""
        image, flow = inputs
        if len(image) != 4 or len(flow) != 4:
            raise LayerError(
                f"FlowWarp takes an image and a flow of 4 axes each (N, C, H, W), not {format_shape(image)} and "
                f"{format_shape(flow)}"
            )
        for shape in inputs:
            known(shape[1:], "channels, height and width of FlowWarp's bottoms")
        if flow[1] != 2:
            raise LayerError(f"the flow must have 2 channels, for the width and for the height, not {flow[1]}")
        pairs = [(image[axis], flow[axis]) for axis in (0, 2, 3)]
        if any(a is not None and b is not None and a != b for a, b in pairs):
            raise LayerError(
                "image and flow must have the same batch size, height and width: "
                f"the image is {format_shape(image)}, the flow {format_shape(flow)}"
            )
        return (image,)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC for both bottoms and the top."""
        layout = Layout.channels_last(4)
        return Arrangement(inputs=(layout, layout), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no such layer."""
        del ctx
        return runtime("FlowWarp", fill_value=unless(self.fill_value, "ZERO"))(*inputs)
