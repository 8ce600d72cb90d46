"""Resample: images brought to another size (FlowNet 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, runtime, unless
from caffe2tf.ir.layer import Context
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.resizing.resize_base import Resized, image_size

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Resample"]


@register("Resample")
@dataclass(frozen=True, slots=True, kw_only=True)
class Resample(Resized):
    """Images resampled to the size of the second bottom, or to `height` and `width`.

    Pixel i of the result lies at ``i * f + g / 2 - 0.5`` of the bottom, f being the old extent over the new one, and g
    that of the *other* axis: FlowNet's code has it so, which matters where the two differ. LINEAR and CUBIC divide by
    the sum of those weights whose pixels exist, and give 0 where that is 0.

    | parameter | default | meaning |
    |---|---|---|
    | height, width | required with one bottom | size of the result |
    | type | LINEAR | NEAREST, LINEAR (a triangle), or CUBIC (-0.5) |
    | antialias | true | where either axis gets smaller, the filter is f times as wide along each axis |
    | factor | 1 | of no effect, in FlowNet's code, too |

    Of the second bottom only the shape matters. NEAREST reads outside the image where one axis is shrunk at least twice
    as much as the other: here as there it finds what follows in memory, and here at the end of each image the last
    value again. FlowNet's code has no backward pass; this one has gradients.
    """

    method: str
    antialias: bool
    factor: float

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.resample_param
        method = p.ResampleType.Name(p.type)
        if method == "AREA":
            raise LayerError("resample_param.type must be NEAREST, LINEAR or CUBIC; FlowNet's code has no AREA")
        size = cls.stated(proto, p.height, p.width, "resample_param.height and width")
        return cls(size=size, method=method, antialias=p.antialias, factor=p.factor)

    def remarks(self) -> tuple[str, ...]:
        """A parameter that FlowNet's code does not use."""
        return () if self.factor == 1 else ("resample_param.factor has no effect, as in FlowNet's own code",)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A runtime layer; nothing where the size stays."""
        before, after = image_size(inputs[0].shape), image_size(ctx.outputs[0].shape)
        if before == after:
            return inputs[0]
        shrinks = before[0] > after[0] or before[1] > after[1]
        matters = shrinks and self.method != "NEAREST" and not self.antialias
        made = runtime("Resample", after, method=unless(self.method, "LINEAR"), antialias=False if matters else OMIT)
        return made(inputs[0])
