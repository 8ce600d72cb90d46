"""FlowWarp: an image, fetched from where a flow points (FlowNet 2)."""

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
    """``y[p] = x[p + flow[p]]``, bilinearly interpolated; the same flow for all channels.

    The second bottom is the flow, two channels: along the width, then along the height, in pixels. A place between the
    last pixel and the image's edge has that pixel's value.

    | parameter | default | meaning |
    |---|---|---|
    | fill_value | ZERO | ZERO or NOT_A_NUMBER: y where the flow leads out of x, or is not a number |
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    fill_value: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.flow_warp_param
        return cls(fill_value=p.FillParameter.Name(p.fill_value))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The shape of the image."""
        image, flow = inputs
        if len(image) != 4 or len(flow) != 4:
            raise LayerError(
                f"FlowWarp takes an image and a flow of 4 axes (N, C, H, W), not {format_shape(image)} and "
                f"{format_shape(flow)}"
            )
        for shape in inputs:
            known(shape[1:], "channels, height and width of FlowWarp's bottoms")
        if flow[1] != 2:
            raise LayerError(f"the flow must have 2 channels, along the width and along the height; it has {flow[1]}")
        pairs = [(image[axis], flow[axis]) for axis in (0, 2, 3)]
        if any(a is not None and b is not None and a != b for a, b in pairs):
            raise LayerError(
                "image and flow must have one batch size, height and width: "
                f"the image is {format_shape(image)}, the flow {format_shape(flow)}"
            )
        return (image,)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last."""
        layout = Layout.channels_last(4)
        return Arrangement(inputs=(layout, layout), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A runtime layer."""
        del ctx
        return runtime("FlowWarp", fill_value=unless(self.fill_value, "ZERO"))(*inputs)
