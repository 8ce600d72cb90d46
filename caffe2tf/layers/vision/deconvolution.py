"""Deconvolution (transposed convolution), emitted as a Keras transposed convolution if one computes the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import OMIT, Construct, Expr, keras, unless
from caffe2tf.ir.layer import Context
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.registry import register
from caffe2tf.layers.vision.convolution_base import ConvolutionBase, Geometry, around_runtime, each, per_side
from caffe2tf.layers.window import Window, brief, shown_pads

__all__ = ["Deconvolution"]


@register("Deconvolution")
@dataclass(frozen=True, slots=True, kw_only=True)
class Deconvolution(ConvolutionBase):
    """Transposed convolution: each input value, times the weights of a window, is added to the output.

    ``y[n, o, q] = b[o] + sum(w[c, o, k] * x[n, c, p])``, where the sum runs over the input channels c of o's group, and
    over the input positions p and window positions k with ``p * stride + k * dilation - pad = q``.

    Output extents are ``stride * (n - 1) + dilation * (kernel - 1) + 1 - 2 * pad``.

    | parameter (``convolution_param``) | default | meaning |
    |---|---|---|
    | num_output | required | output channels |
    | kernel_size, or kernel_h and kernel_w | required | window; one number, or one for each spatial axis |
    | stride, or stride_h and stride_w | 1 | distance between adjacent windows in the output |
    | pad, or pad_h and pad_w | 0 | output values cropped on both sides |
    | pad_t, pad_b, pad_l, pad_r | 0 | output values cropped on each side, in place of pad; fields of Synopsys' fork |
    | dilation, or hole, or hole_h and hole_w | 1 | distance between adjacent values of a window; hole in forks |
    | group | 1 | number of groups; the output channels of a group depend on its input channels only |
    | bias_term | true | whether there is a bias |
    | axis | 1 | channel axis; axes before it are batch axes, axes after it are spatial (any number) |
    | weight_filler, bias_filler | constant 0 | initial values of blobs that the weight file lacks (often bilinear) |
    | engine, force_nd_im2col | | no effect |

    Bottoms: one or more of the same shape, (N, C, H, W). Tops: one for each bottom, (N, num_output, H', W').

    Trained blobs: weight (C, num_output / group, kernel_h, kernel_w), bias (num_output). All bottoms share them.

    Keras weights: kernel (kernel_h, kernel_w, num_output / group, C), bias (num_output). Without spatial axes the
    kernel is (C, num_output).

    Deviations: `pad_type: 1` of Synopsys' fork is not supported.

    Source: ``src/caffe/layers/deconv_layer.cpp`` and ``src/caffe/layers/base_conv_layer.cpp``.
    """

    def emit(self, ctx: Context, *inputs: Value) -> Expr | tuple[Expr, ...]:
        """Emit Keras' transposed convolution, cropped if Caffe's padding is not "same", or a runtime layer."""
        del ctx
        g = self._geometry(inputs[0].shape)
        window = g.window
        if not self._is_keras(g):
            if window.after is None:
                call = self._dense() if self._is_dense(g) else self._runtime("Deconvolution", window)
                return each([call(x) for x in inputs])
            full = self._runtime("Deconvolution", window.padded([(0, 0)] * g.rank))
            full, crop = replace(full, role="full", owns_weights=True), around_runtime("Cropping", g, window.pads)
            return each([crop(full(x)) for x in inputs])
        # "same" gives stride * n values, and crops the smaller half of the excess at the front
        sizes = zip(window.extent, window.stride, window.pad, strict=True)
        if window.after is None and any(window.pad) and all(e - s == 2 * p for e, s, p in sizes):
            same = self._construct(window, padding="same", cropped=False)
            return each([same(x) for x in inputs])
        # if the kernel is smaller than the stride, Keras appends zeros, as if the kernel had the extent of the stride
        sides = zip(window.kernel, window.stride, window.pads, strict=True)
        crops = [(b, a + max(s - k, 0)) for k, s, (b, a) in sides]
        cropped = any(map(any, crops))
        call = self._construct(window, padding=None, cropped=cropped)
        if not cropped:
            return each([call(x) for x in inputs])
        crop = per_side("Cropping", crops)
        return each([crop(call(x)) for x in inputs])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Transpose (I, O, kernel...) to (kernel..., O, I); keep (I, O) for Dense."""
        g = self._geometry(ctx.inputs[0].shape)
        w = blobs[0].array.reshape(self._weight_shape(g))
        return self._as_weights(w if self._is_dense(g) else w.transpose(*range(2, w.ndim), 1, 0), blobs)

    def _weight_shape(self, g: Geometry) -> tuple[int, ...]:
        return (g.channels, self.num_output // self.group, *g.window.kernel)

    def _moves_over(self, inputs: Shape, outputs: Shape) -> Shape:
        del outputs
        return inputs

    def _extents(self, window: Window, spatial: Shape) -> Shape:
        if self.window.same:
            raise LayerUnsupportedError(
                "pad_type 1 is not supported for a deconvolution; give pad_t, pad_b, pad_l and pad_r"
            )
        out = window.deconvolved(spatial)
        if any(n is not None and n < 1 for n in out):
            raise LayerError(
                f"the padding ({shown_pads(window.pads)}) leaves nothing of the output: stride * (n - 1) + dilation * "
                f"(kernel - 1) + 1 - 2 * pad is {' and '.join(str(n) for n in out)}, and must be 1 or more"
            )
        return out

    def _is_dense(self, g: Geometry) -> bool:
        """Return whether the layer is a matrix product, because it has no spatial axes."""
        return g.rank == 0 and self.group == 1 and g.axis > 0

    def _is_keras(self, g: Geometry) -> bool:
        """Return whether Keras computes the same: its transposed convolutions have no groups, nor dilation on a CPU."""
        return g.axis == 1 and 1 <= g.rank <= 3 and self.group == 1 and set(g.window.dilation) == {1}

    def _construct(self, window: Window, *, padding: str | None, cropped: bool) -> Construct:
        return keras(
            f"Conv{len(window.kernel)}DTranspose",
            self.num_output,
            brief(window.kernel),
            role="full" if cropped else "",
            owns_weights=cropped,
            strides=unless(brief(window.stride), 1),
            padding=padding or OMIT,
            activation=self.activation or OMIT,
            use_bias=OMIT if self.bias else False,
        )
