"""Bias: adds a trained or a computed blob along chosen axes."""

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
    """``y = x + b``; b covers `num_axes` axes of x from `axis` on, and is repeated along the others.

    With a second bottom, that is b, and the axes it has are those it covers.

    | parameter | default | meaning |
    |---|---|---|
    | axis | 1 | first axis of x that b covers; may be negative |
    | num_axes | 1 | count of axes that a trained b covers; -1: all from `axis` on, 0: b is one number |
    | filler | constant 0 | what fills an untrained b |

    Trained blobs: b (x's extents along the axes covered; none with a second bottom). Keras weight: ``bias``.
    """

    block: ClassVar[str] = "bias_param"

    filler: Filler

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters; num_axes from -1 on."""
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
        """Bias, unless it is computed."""
        if self.computed:
            return ()
        return (BlobSpec(name="bias", shape=self.trained_shape(*inputs), filler=self.filler),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """The runtime layer Bias; Keras' Add where b is computed for each index of the batch."""
        del ctx
        if self.computed:
            return self.join("Add", "BiasBy", inputs)
        return runtime("Bias", axis=self.argument(inputs))(inputs[0])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """The blob in the order in which the values arrive."""
        return {"bias": self.as_weight(blobs[0], ctx.inputs)}
