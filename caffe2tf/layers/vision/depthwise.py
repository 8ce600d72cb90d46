"""Convolutions of each channel by itself: DepthwiseConvolution and ConvolutionDepthwise, of different forks."""

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
    """A Convolution under another name: formula, parameters and trained blobs are its own.

    For it to convolve each channel by itself, ``convolution_param.group`` must be given as the count of channels. Some
    of the forks' code for a GPU does so whatever the group is, and some leaves out the dilation; what counts here is
    the code for a CPU.
    """

    def remarks(self) -> tuple[str, ...]:
        """Where the group was most likely forgotten."""
        if self.group > 1 or self.num_output == 1:
            return ()
        remark = (
            "without convolution_param.group it convolves all channels together, as Caffe does on a CPU; "
            f"add group: {self.num_output} if each channel is to be convolved by itself"
        )
        return (remark,)


@register("ConvolutionDepthwise")
@dataclass(frozen=True, slots=True, kw_only=True)
class ConvolutionDepthwise(Layer):
    """Each channel by itself, convolved over height and width.

    ``y[n, c, p] = b[c] + sum over k of w[c, 0, k] * x[n, c, p * stride + k * dilation - pad]``; outside the input x is
    0. Output extents are those of Convolution.

    | parameter | default | meaning |
    |---|---|---|
    | kernel_h and kernel_w, or kernel_size | required | window; both of the pair win over kernel_size |
    | stride_h and stride_w, or stride | 1 | likewise |
    | pad_h and pad_w, or pad | 0 | likewise; zeros on both sides |
    | dilation | 1 | distance between the window's values |
    | bias_term | true | |
    | weight_filler, bias_filler | constant 0 | what fills a blob that was not trained |
    | num_output, group, axis, engine, force_nd_im2col | | change nothing |

    Trained blobs: weight (channels, 1, kernel height, kernel width), bias (channels).
    """

    bias: bool
    window: StatedWindow
    weight_filler: Filler
    bias_filler: Filler
    activation: str | None = None

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters, of which the window is checked once there is an input."""
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
        """The window moves over height and width."""
        if len(inputs[0]) != 4:
            raise LayerUnsupportedError(
                f"ConvolutionDepthwise is converted for an input of 4 axes (N, C, H, W), not {format_shape(inputs[0])};"
                " put a Reshape before it"
            )
        return self._convolution(inputs[0]).infer(*inputs)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Weight and bias."""
        return self._convolution(inputs[0]).blobs(*inputs)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last."""
        del inputs, outputs
        layout = Layout.channels_last(4)
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr | tuple[Expr, ...]:
        """Keras' DepthwiseConv2D wherever it computes the same, as for a Convolution."""
        return self._convolution(inputs[0].shape).emit(ctx, *inputs)

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """(C, 1, kernel...) as Keras' layer keeps it."""
        return self._convolution(ctx.inputs[0].shape).convert(blobs, ctx)

    def with_activation(self, name: str) -> Self | None:
        """It takes any activation, but one alone."""
        return None if self.activation else replace(self, activation=name)

    def multiply_adds(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """One for each weight at each place of the window."""
        return self._convolution(inputs[0]).multiply_adds(inputs, outputs)

    def _convolution(self, shape: Shape) -> Convolution:
        """The Convolution that computes the same on an input of ``shape``."""
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
    """``stem`` with _h and _w where both are given, else the first two of the repeated field ``name``."""
    height, width = f"{stem}_h", f"{stem}_w"
    if p.HasField(height) and p.HasField(width):
        return Stated(name=name, pair=(getattr(p, height), getattr(p, width)))
    return Stated(name=name, values=tuple(getattr(p, name)[:2]))
