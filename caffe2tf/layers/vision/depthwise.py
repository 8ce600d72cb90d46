"""Convolutions of each channel by itself: DepthwiseConvolution and ConvolutionDepthwise, from different forks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerUnsupportedError
from caffe2tf.ir.expr import Expr
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Arrangement, BlobSpec, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register
from caffe2tf.layers.vision.convolution import Convolution
from caffe2tf.layers.window import Stated, StatedWindow

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import ConvolutionParameter

__all__ = ["ConvolutionDepthwise", "DepthwiseConvolution"]


@register("DepthwiseConvolution")
@dataclass(frozen=True, slots=True, kw_only=True)
class DepthwiseConvolution(Convolution):
    """Convolution under another name.

    The formula, the parameters (``convolution_param``), the bottoms and tops, the trained blobs and the Keras weights
    are those of Convolution. Each channel is convolved by itself only if `group` is the number of channels.

    Deviations: the GPU code of some forks convolves each channel by itself whatever the group is, and that of some
    ignores the dilation. The layer follows their CPU code, which does neither.

    Source: forks, for example ``eric612/MobileNet-YOLO``, ``src/caffe/layers/depthwise_conv_layer.cpp``.
    """

    def remarks(self) -> tuple[str, ...]:
        """Return a note if the group was probably forgotten."""
        if self.group > 1 or self.num_output == 1:
            return ()
        remark = (
            "without convolution_param.group the layer convolves all channels together, as Caffe does on a CPU; "
            f"add group: {self.num_output} to convolve each channel by itself"
        )
        return (remark,)


@register("ConvolutionDepthwise")
@dataclass(frozen=True, slots=True, kw_only=True)
class ConvolutionDepthwise(Layer):
    """Convolution of each channel by itself over height and width.

    ``y[n, c, p] = b[c] + sum(w[c, 0, k] * x[n, c, p * stride + k * dilation - pad])``, where the sum runs over the
    positions k of the window. Values outside the input count as 0. Output extents are those of Convolution.

    A pair such as `kernel_h` and `kernel_w` takes precedence over the repeated field if both of the pair are given; one
    alone has no effect. A repeated field gives one number for both axes, or height and width first; later numbers have
    no effect.

    | parameter (``convolution_param``) | default | meaning |
    |---|---|---|
    | kernel_h and kernel_w, or kernel_size | required | window |
    | stride_h and stride_w, or stride | 1 | distance between adjacent windows |
    | pad_h and pad_w, or pad | 0 | zeros before and after the input |
    | dilation | 1 | distance between adjacent values of a window |
    | bias_term | true | whether there is a bias |
    | weight_filler, bias_filler | constant 0 | initial values of blobs that the weight file lacks |
    | num_output, group, axis, engine, force_nd_im2col | | no effect |

    Bottoms: one, (N, C, H, W). Tops: one, (N, C, H', W').

    Trained blobs: weight (C, 1, kernel_h, kernel_w), bias (C).

    Keras weights: kernel (kernel_h, kernel_w, C, 1), bias (C).

    Source: forks, for example ``lyxok1/Tiny-DSOD``, ``src/caffe/layers/conv_dw_layer.cpp``.
    """

    bias: bool
    window: StatedWindow
    weight_filler: Filler
    bias_filler: Filler
    activation: str | None = None

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``convolution_param``; the window is checked once the input is known."""
        p = proto.message.convolution_param
        window = StatedWindow(
            kernel=_stated(p, "kernel_size", "kernel"),
            stride=_stated(p, "stride", "stride"),
            pad=_stated(p, "pad", "pad"),
            dilation=Stated(name="dilation", values=tuple(p.dilation[:2])),
        )
        return cls(
            bias=p.bias_term,
            window=window,
            weight_filler=Filler.read(p.weight_filler, given=p.HasField("weight_filler")),
            bias_filler=Filler.read(p.bias_filler, given=p.HasField("bias_filler")),
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the top, from the windows along height and width."""
        if len(inputs[0]) != 4:
            raise LayerUnsupportedError(
                f"ConvolutionDepthwise supports an input of 4 axes (N, C, H, W), not {format_shape(inputs[0])}; "
                "put a Reshape before it"
            )
        return self._convolution(inputs[0]).infer(*inputs)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return the weight, and the bias if there is one."""
        return self._convolution(inputs[0]).blobs(*inputs)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC."""
        del inputs, outputs
        layout = Layout.channels_last(4)
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr | tuple[Expr, ...]:
        """Emit what a Convolution with a group for each channel emits, Keras' DepthwiseConv2D if possible."""
        return self._convolution(inputs[0].shape).emit(ctx, *inputs)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Transpose (C, 1, kernel...) as a Convolution with a group for each channel does."""
        return self._convolution(ctx.inputs[0].shape).convert(blobs, ctx)

    def with_activation(self, name: str) -> Self | None:
        """Return the layer with the activation, unless it has one already."""
        return None if self.activation else replace(self, activation=name)

    def multiply_adds(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """Count one operation for each weight and each position of the window."""
        return self._convolution(inputs[0]).multiply_adds(inputs, outputs)

    def _convolution(self, shape: Shape) -> Convolution:
        """Return the Convolution that computes the same on an input of `shape`."""
        (channels,) = known(shape[1:2], "the channels of a ConvolutionDepthwise's input")
        return Convolution(
            num_output=channels,
            group=channels,
            bias=self.bias,
            axis=1,
            window=self.window,
            weight_filler=self.weight_filler,
            bias_filler=self.bias_filler,
            activation=self.activation,
        )


def _stated(p: ConvolutionParameter, name: str, stem: str) -> Stated:
    """Read `stem` with _h and _w if both are given, else the first two numbers of the repeated field `name`."""
    height, width = f"{stem}_h", f"{stem}_w"
    if p.HasField(height) and p.HasField(width):
        return Stated(name=name, pair=(getattr(p, height), getattr(p, width)))
    return Stated(name=name, values=tuple(getattr(p, name)[:2]))
