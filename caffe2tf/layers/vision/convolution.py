"""Convolution, emitted as a Keras convolution if one computes the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import OMIT, Construct, Expr, keras, runtime, short, unless
from caffe2tf.ir.layer import Context
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.registry import register
from caffe2tf.layers.vision.convolution_base import ConvolutionBase, Geometry, around_runtime, each, per_side
from caffe2tf.layers.window import Window, brief

if TYPE_CHECKING:
    from caffe2tf.proto.caffe_pb2 import ConvolutionParameter

__all__ = ["Convolution"]


@register("Convolution", "HoleConvolution")
@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution(ConvolutionBase):
    """Weighted sum over sliding windows.

    ``y[n, o, p] = b[o] + sum(w[o, c, k] * x[n, c, p * stride + k * dilation - pad])``, where the sum runs over the
    input channels c of o's group and the positions k of the window. Values outside the input count as 0.

    Output extents are ``(n + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1``. The quotient is rounded towards 0:
    if the padded input is too small by less than a stride, it still holds one window. With `pad_type: 1` there are
    ``ceil(n / stride)`` windows, padded as TensorFlow pads "same" windows without dilation: the smaller half before.

    | parameter (``convolution_param``) | default | meaning |
    |---|---|---|
    | num_output | required | output channels |
    | kernel_size, or kernel_h and kernel_w | required | window; one number, or one for each spatial axis |
    | stride, or stride_h and stride_w | 1 | distance between adjacent windows |
    | pad, or pad_h and pad_w | 0 | zeros before and after the input |
    | dilation | 1 | distance between adjacent values of a window |
    | hole, or hole_h and hole_w | 1 | DeepLab's name for dilation; PSPNet's type HoleConvolution has it, too |
    | pad_t, pad_b, pad_l, pad_r | 0 | zeros on each side, in place of pad; fields of Synopsys' fork |
    | pad_type | 0 | 1: TensorFlow's "same" padding in place of pad; a field of Synopsys' fork |
    | group | 1 | number of groups; the output channels of a group depend on its input channels only |
    | bias_term | true | whether there is a bias |
    | axis | 1 | channel axis; axes before it are batch axes, axes after it are spatial (any number) |
    | weight_filler, bias_filler | constant 0 | initial values of blobs that the weight file lacks |
    | relu | false | apply a ReLU to the output; a field of Intel's fork |
    | negative_slope | 0 | slope of that ReLU for negative values |
    | fuse_type | UNFUSED | FUSED_CONV_RELU: apply a ReLU to the output, with the slope in `relu_param`; OpenCL fork |
    | engine, force_nd_im2col | | no effect |

    Bottoms: one or more of the same shape, (N, C, H, W). Tops: one for each bottom, (N, num_output, H', W').

    Trained blobs: weight (num_output, C / group, kernel_h, kernel_w), bias (num_output). All bottoms share them.

    Keras weights: kernel (kernel_h, kernel_w, C / group, num_output), bias (num_output). A depthwise convolution, which
    has as many groups as channels, has the kernel (kernel_h, kernel_w, C, num_output / C).

    Deviations: other fused layers of the OpenCL fork are not supported.

    Source: ``src/caffe/layers/conv_layer.cpp`` and ``src/caffe/layers/base_conv_layer.cpp``; for HoleConvolution
    ``hszhao/PSPNet``, ``src/caffe/layers/hole_conv_layer.cpp``.
    """

    @classmethod
    def _relu(cls, p: ConvolutionParameter) -> float | None:
        """Read `relu` of Intel's fork and `fuse_type` of the OpenCL fork."""
        fused = type(p).FuseType.Name(p.fuse_type)
        if fused not in ("UNFUSED", "FUSED_CONV_RELU"):
            raise LayerUnsupportedError(
                f"fuse_type {fused} is not supported; convert the network as it was before its layers were fused"
            )
        if fused == "FUSED_CONV_RELU":  # the slope is in a block of its own
            return short(p.relu_param.negative_slope)
        return short(p.negative_slope) if p.relu else None

    def emit(self, ctx: Context, *inputs: Value) -> Expr | tuple[Expr, ...]:
        """Emit a Keras convolution, after explicit padding if Keras would pad differently, or a runtime layer."""
        del ctx
        g = self._geometry(inputs[0].shape)
        chain = self._chain(g, inputs[0].shape[g.axis + 1 :])
        if self.slope:
            chain[-1] = replace(chain[-1], role="conv", owns_weights=True)
            chain.append(_sloped(self.slope))
        return each([_through(chain, x) for x in inputs])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Transpose (O, I, kernel...) to (kernel..., I, O), or for a depthwise convolution (kernel..., C, O / C)."""
        g = self._geometry(ctx.inputs[0].shape)
        w = blobs[0].array.reshape(self._weight_shape(g))
        spatial = range(2, w.ndim)
        if self._is_depthwise(g):
            multiplier = self.num_output // g.channels
            w = w.reshape(g.channels, multiplier, *g.window.kernel).transpose(*spatial, 0, 1)
        else:
            w = w.transpose(*spatial, 1, 0)
        return self._as_weights(w, blobs)

    def _weight_shape(self, g: Geometry) -> tuple[int, ...]:
        return (self.num_output, g.channels // self.group, *g.window.kernel)

    def _moves_over(self, inputs: Shape, outputs: Shape) -> Shape:
        del inputs
        return outputs

    def _extents(self, window: Window, spatial: Shape) -> Shape:
        return window.convolved(spatial)

    def _chain(self, g: Geometry, spatial: Shape) -> list[Construct]:
        """Return the layers that compute the convolution, in order."""
        if self._is_dense(g):
            return [self._dense()]
        if g.window.same:  # still so if an extent is not known
            if not self._is_keras(g) or set(g.window.dilation) != {1}:
                raise LayerError(
                    f"with pad_type 1 and dilation {brief(g.window.dilation)}, height and width of the input "
                    "must be known before the network runs"
                )
            return [self._construct(g, "same")]
        if not self._is_keras(g):
            own = self._runtime("Convolution", g.window)
            if g.window.after is None:
                return [own]
            bare = g.window.padded([(0, 0)] * g.rank)
            return [around_runtime("ZeroPadding", g, g.window.pads, role="pad"), self._runtime("Convolution", bare)]
        return self._keras_chain(g, spatial)

    def _keras_chain(self, g: Geometry, spatial: Shape) -> list[Construct]:
        """Return a Keras convolution, and before it the layer that pads its input, if one is needed."""
        pads = _pads(g.window, spatial)
        if self._has_idle_strides(g, spatial):
            return self._without_strides(g, spatial, pads)
        # TensorFlow's Conv3D shifts "same" windows along an axis whose stride skips the end of the input
        skips = g.rank == 3 and max(g.window.stride) > 1
        same = any(map(any, pads)) and not skips and g.window.is_same(spatial, self._extents(g.window, spatial))
        call = self._construct(g, "same" if same else None)
        if same or not any(map(any, pads)):
            return [call]
        return [per_side("ZeroPadding", pads, role="pad"), call]

    def _has_idle_strides(self, g: Geometry, spatial: Shape) -> bool:
        """Return whether TensorFlow may confuse the strides: they differ, and an axis with a stride has one window.

        For an image of one channel and an output of one column and several rows, oneDNN uses the stride of the columns
        for the rows, and reads memory beyond the image.
        """
        extents = self._extents(g.window, spatial)
        idle = any(n == 1 and s > 1 for n, s in zip(extents, g.window.stride, strict=True))
        return g.channels == 1 and g.rank > 1 and len(set(g.window.stride)) > 1 and idle

    def _without_strides(self, g: Geometry, spatial: Shape, pads: Sequence[tuple[int, int]]) -> list[Construct]:
        """Return the layers with stride 1 along axes of one window, where values that no window reads are cropped."""
        strides, sides, cuts = [], [], []
        places = zip(spatial, self._extents(g.window, spatial), g.window.stride, g.window.extent, pads, strict=True)
        for n, out, stride, extent, (before, after) in places:
            idle = out == 1 and n is not None
            beyond = n + before + after - extent if n is not None and idle else 0
            strides.append(1 if idle else stride)
            sides.append((before, max(after - beyond, 0)))
            cuts.append((0, max(beyond - after, 0)))
        moved = replace(g, window=replace(g.window, stride=tuple(strides)))
        pad = [per_side("ZeroPadding", sides, role="pad")] if any(map(any, sides)) else []
        cut = [per_side("Cropping", cuts, role="crop")] if any(map(any, cuts)) else []
        return [*pad, *cut, self._construct(moved, None)]

    def _is_dense(self, g: Geometry) -> bool:
        """Return whether the layer is a matrix product, because it has no spatial axes."""
        return g.rank == 0 and self.group == 1 and g.axis > 0

    def _is_keras(self, g: Geometry) -> bool:
        """Return whether a Keras convolution computes the same: one batch axis, and 1 to 3 spatial axes."""
        possible = g.axis == 1 and 1 <= g.rank <= 3 and not g.is_mixed
        return possible and (self._is_depthwise(g) or not self._is_each_alone(g))

    def _is_each_alone(self, g: Geometry) -> bool:
        return self.group == g.channels > 1

    def _is_depthwise(self, g: Geometry) -> bool:
        """Return whether Keras' depthwise convolution computes the same: one stride, and 1 or 2 spatial axes."""
        possible = g.axis == 1 and g.rank in (1, 2) and not g.is_mixed and len(set(g.window.stride)) == 1
        return possible and self._is_each_alone(g)

    def _construct(self, g: Geometry, padding: str | None) -> Construct:
        depthwise = self._is_depthwise(g)
        multiplier = self.num_output // g.channels if depthwise else 1
        sizes = (brief(g.window.kernel),) if depthwise else (self.num_output, brief(g.window.kernel))
        return keras(
            f"{'Depthwise' if depthwise else ''}Conv{g.rank}D",
            *sizes,
            depth_multiplier=unless(multiplier, 1),
            groups=OMIT if depthwise else unless(self.group, 1),
            strides=unless(brief(g.window.stride), 1),
            padding=padding or OMIT,
            dilation_rate=unless(brief(g.window.dilation), 1),
            activation=self.activation or OMIT,
            use_bias=OMIT if self.bias else False,
        )


def _pads(window: Window, spatial: Shape) -> list[tuple[int, int]]:
    """Return the zeros before and after each axis; those after also complete an input too small for one window."""
    extents = zip(spatial, window.pads, window.extent, strict=True)
    return [(b, a + (0 if n is None else max(e - n - b - a, 0))) for n, (b, a), e in extents]


def _sloped(slope: float) -> Construct:
    """Return a ReLU with a slope for negative values. Keras refuses a negative slope."""
    return keras("LeakyReLU", negative_slope=slope) if slope > 0 else runtime("SlopedReLU", slope)


def _through(chain: Sequence[Construct], x: Expr) -> Expr:
    """Call layers on `x`, one after the other."""
    for layer in chain:
        x = layer(x)
    return x
