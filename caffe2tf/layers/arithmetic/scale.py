"""Scale: multiplies along chosen axes by a trained or a computed blob, and adds one."""

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
    """``y = a * x + b``; a and b cover `num_axes` axes of x from `axis` on, and are repeated along the others.

    With a second bottom, that is a, and the axes it has are those it covers.

    | parameter | default | meaning |
    |---|---|---|
    | axis | 1 | first axis of x that a covers; may be negative |
    | num_axes | 1 | count of axes that a trained a covers; -1: all from `axis` on, 0: a is one number |
    | bias_term | false | whether there is a trained b, of a's shape |
    | filler | constant 1 | what fills an untrained a |
    | bias_filler | constant 0 | what fills an untrained b |

    Trained blobs: a (x's extents along the axes covered; none with a second bottom), b (likewise). Keras weights:
    ``gamma`` and ``beta``, with a second bottom ``bias``. A Scale over the channels that overwrites the top of a
    BatchNorm becomes part of that one's Keras layer.
    """

    block: ClassVar[str] = "scale_param"

    bias: bool
    filler: Filler
    bias_filler: Filler

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters; num_axes from -1 on."""
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
        """The shape of the first bottom."""
        if self.bias:
            self.canonical(len(inputs[0]))  # the bias needs it even where a is one number
        return AlongAxes.infer(self, *inputs)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Scale, unless it is computed, and bias."""
        if self.computed and not self.bias:
            return ()
        shape = self.trained_shape(*inputs)
        scale = BlobSpec(name="scale", shape=shape, filler=self.filler)
        bias = BlobSpec(name="bias", shape=shape, filler=self.bias_filler)
        return (() if self.computed else (scale,)) + ((bias,) if self.bias else ())

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Nor where a trained bias tells the indices of axis 0 apart."""
        biased = self.bias and 0 in self.covered(*inputs)
        return AlongAxes.trace_batch(self, batched, inputs, outputs) if not biased else Batch.FIXED

    def is_per_channel(self, shape: Shape) -> bool:
        """Whether it is a trained factor for each channel (axis 1) of a blob of ``shape``."""
        return not self.computed and len(shape) > 1 and self.covered(shape) == range(1, 2)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """The runtime layer Scale; Keras' Multiply where the factor is computed for each index of the batch."""
        del ctx
        axis = self.argument(inputs)
        if not self.computed:
            return runtime("Scale", axis=axis, center=OMIT if self.bias else False)(inputs[0])
        if not self.bias:
            return self.join("Multiply", "ScaleBy", inputs)
        return runtime("Bias", axis=axis)(self.join("Multiply", "ScaleBy", inputs, role="scale"))

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Both blobs in the order in which the values arrive."""
        names = ("bias",) if self.computed else ("gamma", "beta")
        return {name: self.as_weight(blob, ctx.inputs) for name, blob in zip(names, blobs, strict=False)}
