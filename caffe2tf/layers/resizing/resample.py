"""Resample: images resized by nearest, linear or cubic interpolation (FlowNet 2)."""

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
    """Images resized to the size of the second bottom, or to `height` and `width`.

    Output pixel i lies at input position ``i * f + g / 2 - 0.5``, where ``f = n / m`` is the input extent divided by
    the output extent, and g is that quotient for the *other* axis. FlowNet's code exchanges the axes in this term,
    which matters if f and g differ.

    LINEAR and CUBIC divide by the sum of the weights of the pixels inside the image. The output is 0 if it is 0.

    | parameter (``resample_param``) | default | meaning |
    |---|---|---|
    | height, width | required with one bottom | size of the output |
    | type | LINEAR | NEAREST, LINEAR (triangle filter) or CUBIC (coefficient -0.5) |
    | antialias | true | if either axis gets smaller, widen the filter by the factor f of each axis |
    | factor | 1 | no effect, as in FlowNet's code |

    Bottoms: (N, C, H, W), and optionally (any, any, H', W'), of which only the shape matters. Tops: one, (N, C, H',
    W'). Trained blobs: none.

    Deviations:

    - NEAREST reads outside the image if one axis shrinks at least twice as much as the other. As in FlowNet's code, it
      finds what follows in memory; beyond the end of each image it uses the last value.
    - FlowNet's code has no backward pass; this layer has gradients.

    Source: ``lmb-freiburg/flownet2``, ``src/caffe/layers/resample_layer.cu``.
    """

    method: str
    antialias: bool
    factor: float

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``resample_param``."""
        p = proto.message.resample_param
        method = p.ResampleType.Name(p.type)
        if method == "AREA":
            raise LayerError("resample_param.type must be NEAREST, LINEAR or CUBIC; AREA is missing in FlowNet's code")
        size = cls.stated(proto, p.height, p.width, "resample_param.height and width")
        return cls(size=size, method=method, antialias=p.antialias, factor=p.factor)

    def remarks(self) -> tuple[str, ...]:
        """Return a note if `factor` is given: FlowNet's code ignores it."""
        return () if self.factor == 1 else ("resample_param.factor has no effect, as in FlowNet's own code",)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer, or nothing if the size does not change."""
        before, after = image_size(inputs[0].shape), image_size(ctx.outputs[0].shape)
        if before == after:
            return inputs[0]
        shrinks = before[0] > after[0] or before[1] > after[1]
        matters = shrinks and self.method != "NEAREST" and not self.antialias
        made = runtime("Resample", after, method=unless(self.method, "LINEAR"), antialias=False if matters else OMIT)
        return made(inputs[0])
