"""Im2col: the values under a sliding window, as channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime, unless
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, canonical_axis
from caffe2tf.ir.value import Value
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register
from caffe2tf.layers.window import StatedWindow, Window

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Im2col"]


@register("Im2col")
@dataclass(frozen=True, slots=True, kw_only=True)
class Im2col(Layer):
    """``y[n, c * K + k, p] = x[n, c, p * stride + k * dilation - pad]``, where K is the number of values of a window.

    The values that a convolution multiplies by its weights, as channels: all values of a window of the first channel in
    row-major order, then those of the second channel, and so on. Values outside the input are 0. Output extents are
    those of Convolution.

    | parameter (``convolution_param``) | default | meaning |
    |---|---|---|
    | kernel_size, or kernel_h and kernel_w | required | window; one number, or one for each spatial axis |
    | stride, or stride_h and stride_w | 1 | distance between adjacent windows |
    | pad, or pad_h and pad_w | 0 | zeros before and after the input |
    | dilation, or hole, or hole_h and hole_w | 1 | distance between adjacent values of a window; hole in forks |
    | axis | 1 | channel axis; axes before it are batch axes, axes after it are spatial |
    | force_nd_im2col | false | no effect |

    Bottoms: one, (N, C, H, W). Tops: one, (N, C * K, H', W'). Trained blobs: none.

    Source: ``src/caffe/layers/im2col_layer.cpp``.
    """

    axis: int
    window: StatedWindow

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``convolution_param``; the window is checked once the rank of the input is known."""
        p = proto.message.convolution_param
        return cls(axis=p.axis, window=StatedWindow.read(p))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the top: a channel for each value of a window, a position for each window."""
        axis, window = self._geometry(inputs[0])
        (channels,) = known(inputs[0][axis : axis + 1], "the channels of Im2col's input")
        out = window.convolved(inputs[0][axis + 1 :])
        return ((*inputs[0][:axis], channels * math.prod(window.kernel), *out),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use channels last, after the batch axes and the spatial axes."""
        axis, _ = self._geometry(inputs[0].shape)
        layout = Layout((*range(axis), *range(axis + 1, inputs[0].rank), axis))
        return Arrangement(inputs=(layout,), outputs=(layout,) * len(outputs))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: TensorFlow's patches have the channels last within each window."""
        _, window = self._geometry(inputs[0].shape)
        ones = (1,) * len(window.kernel)
        return runtime(
            "Im2col",
            window.kernel,
            stride=unless(window.stride, ones),
            pad=unless(window.pad, (0,) * len(ones)),
            dilation=unless(window.dilation, ones),
        )(inputs[0])

    def _geometry(self, shape: Shape) -> tuple[int, Window]:
        try:
            axis = canonical_axis(self.axis, len(shape))
        except ValueError as e:
            raise LayerError(f"convolution_param.axis: {e}") from None
        if axis + 1 == len(shape):
            raise LayerError(
                f"Im2col needs a spatial axis, but axis {axis} holds the channels and is the last of {len(shape)} axes"
            )
        return axis, self.window.over(len(shape) - axis - 1)
