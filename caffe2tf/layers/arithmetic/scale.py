"""Scale: multiplies by a trained or computed blob along some axes, and may add a trained one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, runtime
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Batch, BlobSpec, Context
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.arithmetic.axes_base import AlongAxes
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Scale"]


@register("Scale")
@dataclass(frozen=True, slots=True, kw_only=True)
class Scale(AlongAxes):
    """``y = a * x + b``, where a and b cover `num_axes` axes of x from `axis` on and are broadcast along the others.

    a is a trained blob, or the second bottom if there is one. The latter covers as many axes as it has; if it is a
    scalar, `axis` is ignored.

    | parameter (``scale_param``) | default | meaning |
    |---|---|---|
    | axis | 1 | first axis of x that a covers; negative numbers count from the end |
    | num_axes | 1 | number of axes that a trained a covers; -1: all from `axis` on, 0: a is a scalar |
    | bias_term | false | add a trained b, of the shape of a |
    | filler | constant 1 | initial values of a trained a |
    | bias_filler | constant 0 | initial values of b |

    Bottoms: x, of any shape; optionally a, of the extents of x along the covered axes. Tops: one, of the shape of x.

    Trained blobs: with one bottom a, with `bias_term` b, each of the extents of x along the covered axes.

    Keras weights: ``gamma`` and ``beta``, with two bottoms ``bias``; their axes are in the order of the tensor. A Scale
    of one factor per channel that overwrites the top of a BatchNorm usually becomes part of that layer.

    Source: ``src/caffe/layers/scale_layer.cpp``.
    """

    block: ClassVar[str] = "scale_param"

    bias: bool
    filler: Filler
    bias_filler: Filler

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``scale_param``; `num_axes` does not matter for a computed a."""
        p = proto.message.scale_param
        if p.num_axes < -1 and len(proto.bottoms) == 1:
            raise LayerError(f"scale_param.num_axes must be 0 or more, or -1 for all axes, not {p.num_axes}")
        return cls(
            axis=p.axis,
            num_axes=p.num_axes,
            computed=len(proto.bottoms) > 1,
            bias=p.bias_term,
            filler=Filler.read(p.filler) if p.HasField("filler") else Filler(value=1.0),
            bias_filler=Filler.read(p.bias_filler, given=p.HasField("bias_filler")),
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the first bottom, if the second one fits it."""
        if self.bias:
            self.canonical(len(inputs[0]))  # b requires a valid axis even if a is a scalar
        return AlongAxes.infer(self, *inputs)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return a, unless it is computed, then b if there is one."""
        if self.computed and not self.bias:
            return ()
        shape = self.trained_shape(*inputs)
        scale = BlobSpec(name="scale", shape=shape, filler=self.filler)
        bias = BlobSpec(name="bias", shape=shape, filler=self.bias_filler)
        return (() if self.computed else (scale,)) + ((bias,) if self.bias else ())

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Fix the batch size also if b covers axis 0."""
        biased = self.bias and 0 in self.covered(*inputs)
        return AlongAxes.trace_batch(self, batched, inputs, outputs) if not biased else Batch.FIXED

    def is_per_channel(self, shape: Shape) -> bool:
        """Return whether a is one trained factor for each channel (axis 1) of a blob of ``shape``."""
        return not self.computed and len(shape) > 1 and self.covered(shape) == range(1, 2)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit the runtime layer Scale; for a computed a Keras' Multiply if it covers the batch, else ScaleBy."""
        del ctx
        axis = self.argument(inputs)
        if not self.computed:
            return runtime("Scale", axis=axis, center=OMIT if self.bias else False)(inputs[0])
        if not self.bias:
            return self.join("Multiply", "ScaleBy", inputs)
        return runtime("Bias", axis=axis)(self.join("Multiply", "ScaleBy", inputs, role="scale"))

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Convert a and b, in the order of the tensor's axes."""
        names = ("bias",) if self.computed else ("gamma", "beta")
        return {name: self.as_weight(blob, ctx.inputs) for name, blob in zip(names, blobs, strict=False)}
