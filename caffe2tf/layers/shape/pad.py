"""Pad: padding of a blob with a constant along any axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, keras, runtime, short, unless
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.shape.split import forbid_in_place
from caffe2tf.layers.window import brief

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Pad"]


@register("Pad")
@dataclass(frozen=True, slots=True, kw_only=True)
class Pad(Layer):
    """Padding with a constant before and after the values along each axis (Synopsys).

    The layer cannot work in place.

    | parameter (``pad_param``) | default | meaning |
    |---|---|---|
    | paddings | required | for each axis, including the batch: the padding before, then the padding after |
    | constant_values | 0 | the constant |

    Bottoms: one, of at least one axis. Tops: one, each of whose extents is that of the bottom plus the padding. Trained
    blobs: none.

    Source: ``src/caffe/layers/pad_layer.cpp`` of github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    paddings: tuple[tuple[int, int], ...]
    value: float = 0.0

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``pad_param``."""
        forbid_in_place(proto)
        p = proto.message.pad_param
        counts = tuple(p.paddings)
        if len(counts) % 2:
            raise LayerError(f"pad_param.paddings must be given twice for each axis, not {len(counts)} times")
        return cls(paddings=tuple(zip(counts[::2], counts[1::2], strict=True)), value=p.constant_values)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the extents of the bottom plus the padding."""
        shape = inputs[0]
        if not shape:
            raise LayerError("the bottom of a Pad must have at least one axis")
        if len(self.paddings) != len(shape):
            raise LayerError(
                f"pad_param.paddings must be given twice for each of the {len(shape)} axes of the bottom "
                f"({format_shape(shape)}), not {2 * len(self.paddings)} times"
            )
        return (tuple(None if d is None else d + sum(p) for d, p in zip(shape, self.paddings, strict=True)),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless axis 0 is padded."""
        return Layer.trace_batch(self, batched, inputs, outputs) if not any(self.paddings[0]) else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout; a flattened axis that is padded must be in Caffe's order."""
        del outputs
        layout = inputs[0].layout
        if layout.blocks and any(self.paddings[1]):
            layout = Layout.plain(2)
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit ZeroPadding1D, 2D or 3D for zeros along spatial axes, else a runtime layer; nothing without padding."""
        del ctx
        x = inputs[0]
        counts = tuple(self.paddings[a] for a in x.layout.axes)
        if not any(n for pair in counts for n in pair):
            return x
        sides = counts[1:-1]
        if self.value != 0 or not 1 <= len(sides) <= 3 or any((*counts[0], *counts[-1])):
            return runtime("Pad", counts, value=unless(short(self.value), 0.0))(x)
        if all(before == after for before, after in sides):
            return keras(f"ZeroPadding{len(sides)}D", brief([before for before, _ in sides]))(x)
        return keras(f"ZeroPadding{len(sides)}D", sides[0] if len(sides) == 1 else sides)(x)
