"""Deconvolution (transposed convolution), as Keras' transposed convolutions wherever they compute the same."""

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
from caffe2tf.layers.vision.convolution_base import ConvolutionBase, Geometry, beside, each, per_side
from caffe2tf.layers.window import Window, brief, shown_pads

__all__ = ["Deconvolution"]


@register("Deconvolution")
@dataclass(frozen=True, slots=True, kw_only=True)
class Deconvolution(ConvolutionBase):
    """The transpose of a convolution: each input value adds a window, weighted by it, to the output.

    ``y[n, o, q] = b[o] + sum over c in the group of o, and over k and p with p * stride + k * dilation - pad = q, of
    w[c, o, k] * x[n, c, p]``. Output extents are ``stride (n - 1) + dilation (kernel - 1) + 1 - 2 pad``.

    | parameter | default | meaning |
    |---|---|---|
    | num_output | required | output channels |
    | kernel_size, or kernel_h and kernel_w | required | window: once, or once for each spatial axis |
    | stride, or stride_h and stride_w | 1 | distance between windows in the output |
    | pad, or pad_h and pad_w | 0 | output values left out on both sides |
    | pad_l, pad_r, pad_t, pad_b | 0 | output values left out on each side, in place of pad; of Synopsys' fork |
    | dilation | 1 | distance between the window's values |
    | group | 1 | groups of channels that see each other |
    | bias_term | true | |
    | axis | 1 | channel axis; axes before it are a batch, axes after it are spatial (any count of them) |
    | weight_filler, bias_filler | constant 0 | what fills a blob that was not trained (often bilinear) |
    | engine, force_nd_im2col | | change nothing |

    Trained blobs: weight (channels, num_output / group, kernel...), bias (num_output). Several bottoms share them.
    """

    def emit(self, ctx: Context, *inputs: Value) -> Expr | tuple[Expr, ...]:
        """Keras' transposed convolution, cropped where Caffe's padding is not that of "same"."""
        del ctx
        g = self._geometry(inputs[0].shape)
        window = g.window
        if not self._is_keras(g):
            if window.after is None:
                call = self._dense() if self._is_dense(g) else self._runtime("Deconvolution", window)
                return each([call(x) for x in inputs])
            full = self._runtime("Deconvolution", window.padded([(0, 0)] * g.rank))
            full, crop = replace(full, role="full", owns_weights=True), beside("Cropping", g, window.pads)
            return each([crop(full(x)) for x in inputs])
        # "same" gives stride * n values, and takes the smaller half of what is too much from the front
        sizes = zip(window.extent, window.stride, window.pad, strict=True)
        if window.after is None and any(window.pad) and all(e - s == 2 * p for e, s, p in sizes):
            same = self._construct(window, padding="same", cropped=False)
            return each([same(x) for x in inputs])
        # where the window is smaller than the stride, Keras adds zeros behind, as if a window had the stride's extent
        sides = zip(window.kernel, window.stride, window.pads, strict=True)
        crops = [(b, a + max(s - k, 0)) for k, s, (b, a) in sides]
        cropped = any(map(any, crops))
        call = self._construct(window, padding=None, cropped=cropped)
        if not cropped:
            return each([call(x) for x in inputs])
        crop = per_side("Cropping", crops)
        return each([crop(call(x)) for x in inputs])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """(I, O, kernel...) to (kernel..., O, I); for Dense it is (I, O)."""
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
            raise LayerUnsupportedError("pad_type 1 is not converted for a deconvolution; give pad_l and its like")
        out = window.deconvolved(spatial)
        if any(n is not None and n < 1 for n in out):
            raise LayerError(
                f"the padding ({shown_pads(window.pads)}) leaves nothing of the output: stride (n - 1) + dilation "
                f"(kernel - 1) + 1 - 2 pad is {' and '.join(str(n) for n in out)}, and must be 1 or more"
            )
        return out

    def _is_dense(self, g: Geometry) -> bool:
        """Without spatial axes it is a matrix product."""
        return g.rank == 0 and self.group == 1 and g.axis > 0

    def _is_keras(self, g: Geometry) -> bool:
        """Keras' transposed convolutions have no groups, and no dilation on a CPU."""
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
