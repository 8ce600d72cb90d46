"""Reverse: a blob with the order of its values reversed along some axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.regroup import axis_of
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Reverse"]


@register("Reverse")
@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse(Layer):
    """``y[..., i, ...] = x[..., n - 1 - i, ...]`` along each `axis`, n being its extent (forks for CTC, Synopsys).

    The layer cannot work in place.

    | parameter (``reverse_param``) | default | meaning |
    |---|---|---|
    | axis | 0 | axis that is reversed; may be negative; in Synopsys' fork any number of axes |

    Bottoms: one, of at least one axis. Tops: one, of the same shape. Trained blobs: none.

    Deviations: without `axis`, the layer reverses axis 0 (time), as in the forks for CTC. In Synopsys' fork it then
    changes nothing.

    Source: ``src/caffe/layers/reverse_layer.cpp`` of github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe;
    BVLC has no such layer.
    """

    reads_unknown: ClassVar[tuple[str, ...]] = ("reverse_param",)

    axis: tuple[int, ...] = ()

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``reverse_param``."""
        forbid_in_place(proto)
        return cls(axis=proto.extra.block("reverse_param").only("axis").whole_numbers("axis"))

    def remarks(self) -> tuple[str, ...]:
        """State which axis is reversed if none is given, as forks differ in it."""
        if self.axis:
            return ()
        return ("without reverse_param.axis the blob is reversed along axis 0, as in the Caffe forks for CTC",)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom, after a check of the axes."""
        self._axes(inputs[0])
        return (inputs[0],)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless axis 0 is reversed."""
        return Layer.trace_batch(self, batched, inputs, outputs) if 0 not in self._axes(inputs[0]) else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout; a flattened axis that is reversed must be in Caffe's order."""
        del outputs
        layout = inputs[0].layout
        if layout.blocks and 1 in self._axes(inputs[0].shape):
            layout = Layout.plain(2)
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras has no layer that reverses axes."""
        del ctx
        x = inputs[0]
        return runtime("Reverse", tuple(sorted(x.layout.tensor_axis(a) for a in self._axes(x.shape))))(x)

    def _axes(self, shape: Shape) -> set[int]:
        return {axis_of(shape, a, "reverse_param.axis") for a in self.axis or (0,)}
