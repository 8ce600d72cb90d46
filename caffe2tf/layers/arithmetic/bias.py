"""Bias: adds a trained or computed blob along some axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import BlobSpec, Context
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.arithmetic.axes_base import AlongAxes
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Bias"]


@register("Bias")
@dataclass(frozen=True, slots=True, kw_only=True)
class Bias(AlongAxes):
    """``y = x + b``, where b covers `num_axes` axes of x from `axis` on and is broadcast along the others.

    b is a trained blob, or the second bottom if there is one. The latter covers as many axes as it has; if it is a
    scalar, `axis` is ignored.

    | parameter (``bias_param``) | default | meaning |
    |---|---|---|
    | axis | 1 | first axis of x that b covers; negative numbers count from the end |
    | num_axes | 1 | number of axes that a trained b covers; -1: all from `axis` on, 0: b is a scalar |
    | filler | constant 0 | initial values of a trained b |

    Bottoms: x, of any shape; optionally b, of the extents of x along the covered axes. Tops: one, of the shape of x.

    Trained blobs: with one bottom b, of the extents of x along the covered axes; with two none.

    Keras weights: with one bottom ``bias``, with the axes of b in the order of the tensor.

    Source: ``src/caffe/layers/bias_layer.cpp``.
    """

    block: ClassVar[str] = "bias_param"

    filler: Filler

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``bias_param``; `num_axes` does not matter for a computed b."""
        p = proto.message.bias_param
        if p.num_axes < -1 and len(proto.bottoms) == 1:
            raise LayerError(f"bias_param.num_axes must be 0 or more, or -1 for all axes, not {p.num_axes}")
        return cls(
            axis=p.axis,
            num_axes=p.num_axes,
            computed=len(proto.bottoms) > 1,
            filler=Filler.read(p.filler, given=p.HasField("filler")),
        )

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return b, unless it is computed."""
        if self.computed:
            return ()
        return (BlobSpec(name="bias", shape=self.trained_shape(*inputs), filler=self.filler),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit the runtime layer Bias; for a computed b Keras' Add if it covers the batch, else BiasBy."""
        del ctx
        if self.computed:
            return self.join("Add", "BiasBy", inputs)
        return runtime("Bias", axis=self.argument(inputs))(inputs[0])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """Convert b, in the order of the tensor's axes."""
        return {"bias": self.as_weight(blobs[0], ctx.inputs)}
