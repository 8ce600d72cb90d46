"""Convolution, as Keras' convolutions wherever one of them computes the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from caffe2tf.ir.expr import OMIT, Construct, Expr, keras, unless
from caffe2tf.ir.graph import NodeBlob, Value
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.base import Context
from caffe2tf.layers.convolution_base import ConvolutionBase, Geometry, each, per_side
from caffe2tf.layers.registry import register
from caffe2tf.layers.window import Window, brief

__all__ = ["Convolution"]


@register("Convolution")
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
    | group | 1 | groups of channels that see each other |
    | bias_term | true | |
    | axis | 1 | channel axis; axes before it are a batch, axes after it are spatial (any count of them) |
    | weight_filler, bias_filler | constant 0 | what fills a blob that was not trained |
    | engine, force_nd_im2col | | change nothing |

    Trained blobs: weight (num_output, channels / group, kernel...), bias (num_output). Several bottoms share them.
    """

    def emit(self, ctx: Context, *inputs: Value) -> Expr | tuple[Expr, ...]:
        """Keras' convolution, after explicit padding where Keras' own would put it elsewhere."""
        del ctx
        g = self._geometry(inputs[0].shape)
        if not self._is_keras(g):
            call = self._dense() if self._is_dense(g) else self._runtime("Convolution", g.window)
            return each([call(x) for x in inputs])
        spatial = inputs[0].shape[g.axis + 1 :]
        pads = _pads(g.window, spatial)
        # TensorFlow's Conv3D moves "same" windows along an axis on which a stride skips the input's end
        skips = g.rank == 3 and max(g.window.stride) > 1
        same = any(map(any, pads)) and not skips and g.window.is_same(spatial, self._extents(g.window, spatial))
        call = self._construct(g, "same" if same else None)
        if same or not any(map(any, pads)):
            return each([call(x) for x in inputs])
        pad = per_side("ZeroPadding", pads, role="pad")
        return each([call(pad(x)) for x in inputs])

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
    extents = zip(spatial, window.pad, window.extent, strict=True)
    return [(p, p + (0 if n is None else max(e - n - 2 * p, 0))) for n, p, e in extents]
