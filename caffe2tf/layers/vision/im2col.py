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
    """``y[n, c * K + k, p] = x[n, c, p * stride + k * dilation - pad]``, K being the count of a kernel's values.

    What a convolution multiplies with its weights; outside the input x is 0. Its parameters are those of a
    convolution (``convolution_param``). An output extent is ``(n + 2 pad - dilation (kernel - 1) - 1) / stride + 1``,
    rounded towards 1.

    | parameter | default | meaning |
    |---|---|---|
    | kernel_size, or kernel_h and kernel_w | required | window: once, or once for each spatial axis |
    | stride, or stride_h and stride_w | 1 | |
    | pad, or pad_h and pad_w | 0 | zeros on both sides |
    | dilation | 1 | distance between the window's values |
    | axis | 1 | channel axis; axes before it are a batch, axes after it are spatial |
    | force_nd_im2col | false | changes nothing |
    """

    axis: int
    window: StatedWindow

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters, of which the window waits for the rank of the input."""
        p = proto.message.convolution_param
        return cls(axis=p.axis, window=StatedWindow.read(p))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The channels times the kernel's values, and one place for each window."""
        axis, window = self._geometry(inputs[0])
        (channels,) = known(inputs[0][axis : axis + 1], "the channels of what is unfolded")
        out = window.convolved(inputs[0][axis + 1 :])
        return ((*inputs[0][:axis], channels * math.prod(window.kernel), *out),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last."""
        axis, _ = self._geometry(inputs[0].shape)
        layout = Layout((*range(axis), *range(axis + 1, inputs[0].rank), axis))
        return Arrangement(inputs=(layout,), outputs=(layout,) * len(outputs))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own: what TensorFlow has unfolds channels last."""
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
                f"Im2col needs a spatial axis: axis {axis} holds the channels, and is the last of {len(shape)}"
            )
        return axis, self.window.over(len(shape) - axis - 1)
