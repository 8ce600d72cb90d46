"""Convolution, as Keras' convolutions wherever one of them computes the same."""

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
from caffe2tf.layers.vision.convolution_base import ConvolutionBase, Geometry, beside, each, per_side
from caffe2tf.layers.window import Window, brief

if TYPE_CHECKING:
    from caffe2tf.proto.caffe_pb2 import ConvolutionParameter

__all__ = ["Convolution"]


@register("Convolution", "HoleConvolution")
@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution(ConvolutionBase):
    """Weighted sum over sliding windows.

    ``y[n, o, p] = b[o] + sum over c in the group of o, k of w[o, c, k] * x[n, c, p * stride + k * dilation - pad]``;
    outside the input x is 0. Output extents are ``(n + 2 pad - dilation (kernel - 1) - 1) / stride + 1``, the quotient
    rounded towards 0: a window that the padded input lacks less than a stride to hold has one place.

    | parameter | default | meaning |
    |---|---|---|
    | num_output | required | output channels |
    | kernel_size, or kernel_h and kernel_w | required | window: once, or once for each spatial axis |
    | stride, or stride_h and stride_w | 1 | |
    | pad, or pad_h and pad_w | 0 | zeros on both sides |
    | dilation | 1 | distance between the window's values |
    | hole, or hole_h and hole_w | | another name of dilation, in DeepLab's fork (type HoleConvolution in PSPNet's) |
    | pad_l, pad_r, pad_t, pad_b | 0 | zeros on each side, in place of pad; of Synopsys' fork, and so is the next |
    | pad_type | 0 | 1: in place of pad, zeros for ``n / stride`` places, rounded up; the smaller half before |
    | group | 1 | groups of channels that see each other |
    | bias_term | true | |
    | axis | 1 | channel axis; axes before it are a batch, axes after it are spatial (any count of them) |
    | weight_filler, bias_filler | constant 0 | what fills a blob that was not trained |
    | relu, negative_slope | false, 0 | a ReLU with that slope is part of the layer; of Intel's fork |
    | fuse_type | UNFUSED | FUSED_CONV_RELU: a ReLU is part of the layer; of Caffe for OpenCL. No other is converted |
    | engine, force_nd_im2col | | change nothing |

    Trained blobs: weight (num_output, channels / group, kernel...), bias (num_output). Several bottoms share them.
    """

    @classmethod
    def _relu(cls, p: ConvolutionParameter) -> float | None:
        """Of Intel's fork, and of the fused layers of Caffe for OpenCL."""
        fused = type(p).FuseType.Name(p.fuse_type)
        if fused not in ("UNFUSED", "FUSED_CONV_RELU"):
            raise LayerUnsupportedError(
                f"fuse_type {fused} is not converted; convert the network from before its layers were fused"
            )
        if fused == "FUSED_CONV_RELU":  # which keeps the slope in a block of its own
            return short(p.relu_param.negative_slope)
        return short(p.negative_slope) if p.relu else None

    def emit(self, ctx: Context, *inputs: Value) -> Expr | tuple[Expr, ...]:
        """Keras' convolution, after explicit padding where Keras' own would put it elsewhere."""
        del ctx
        g = self._geometry(inputs[0].shape)
        chain = self._chain(g, inputs[0].shape[g.axis + 1 :])
        if self.slope:
            chain[-1] = replace(chain[-1], role="conv", owns_weights=True)
            chain.append(_sloped(self.slope))
        return each([_through(chain, x) for x in inputs])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """(O, I, kernel...) to (kernel..., I, O)."""
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
        """The layers that compute it, in order."""
        if self._is_dense(g):
            return [self._dense()]
        if g.window.same:  # with an extent that is not known
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
            return [beside("ZeroPadding", g, g.window.pads, role="pad"), self._runtime("Convolution", bare)]
        return self._keras_chain(g, spatial)

    def _keras_chain(self, g: Geometry, spatial: Shape) -> list[Construct]:
        """One of Keras' convolutions, and what pads its input."""
        pads = _pads(g.window, spatial)
        if self._has_idle_strides(g, spatial):
            return self._without_strides(g, spatial, pads)
        # TensorFlow's Conv3D moves "same" windows along an axis on which a stride skips the input's end
        skips = g.rank == 3 and max(g.window.stride) > 1
        same = any(map(any, pads)) and not skips and g.window.is_same(spatial, self._extents(g.window, spatial))
        call = self._construct(g, "same" if same else None)
        if same or not any(map(any, pads)):
            return [call]
        return [per_side("ZeroPadding", pads, role="pad"), call]

    def _has_idle_strides(self, g: Geometry, spatial: Shape) -> bool:
        """Whether TensorFlow could go astray over strides: several axes, and one of them has a single place.

        For an image of one channel whose windows have one column and several rows, oneDNN takes the columns' stride
        for that of the rows, and reads what lies behind the image.
        """
        extents = self._extents(g.window, spatial)
        idle = any(n == 1 and s > 1 for n, s in zip(extents, g.window.stride, strict=True))
        return g.channels == 1 and g.rank > 1 and len(set(g.window.stride)) > 1 and idle

    def _without_strides(self, g: Geometry, spatial: Shape, pads: Sequence[tuple[int, int]]) -> list[Construct]:
        """The layers where strides along which nothing moves are 1, and what no window reaches is cut off."""
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
        """Without spatial axes it is a matrix product."""
        return g.rank == 0 and self.group == 1 and g.axis > 0

    def _is_keras(self, g: Geometry) -> bool:
        """Whether one of Keras' convolutions computes it: one batch axis, 1 to 3 spatial axes."""
        possible = g.axis == 1 and 1 <= g.rank <= 3 and not g.is_mixed
        return possible and (self._is_depthwise(g) or not self._is_each_alone(g))

    def _is_each_alone(self, g: Geometry) -> bool:
        return self.group == g.channels > 1

    def _is_depthwise(self, g: Geometry) -> bool:
        """Keras' depthwise convolution takes one stride, and 1 or 2 spatial axes."""
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
    """Zeros before and after each axis; those after make up for what the input lacks to hold one window."""
    extents = zip(spatial, window.pads, window.extent, strict=True)
    return [(b, a + (0 if n is None else max(e - n - b - a, 0))) for n, (b, a), e in extents]


def _sloped(slope: float) -> Construct:
    """A ReLU with a slope for negative values; Keras has none for a slope below 0."""
    return keras("LeakyReLU", negative_slope=slope) if slope > 0 else runtime("SlopedReLU", slope)


def _through(chain: Sequence[Construct], x: Expr) -> Expr:
    """``x`` through layers, one after the other."""
    for layer in chain:
        x = layer(x)
    return x
