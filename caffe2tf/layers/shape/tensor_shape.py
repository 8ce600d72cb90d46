"""Shape, and a reshape to such a shape: Synopsys' layers for graphs that were converted from TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["PythonReshape", "TensorShape"]


@register("Shape", "Python:shape.TensorShape")
@dataclass(frozen=True, slots=True, kw_only=True)
class TensorShape(Layer):
    """``y[i]`` is the extent of axis i of the bottom (Synopsys).

    The extents are in Caffe's axis order, and those of the batch at hand. The layer cannot work in place.

    Parameters: none.

    Bottoms: one, of R axes, R being 1 or more. Tops: one, (R). Trained blobs: none.

    Source: ``src/caffe/layers/shape_layer.cpp`` and ``python/shape.py`` of
    github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Check that the layer does not work in place; it has no parameters."""
        forbid_in_place(proto)
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return one number for each axis."""
        if not inputs[0]:
            raise LayerError("the bottom must have at least one axis")
        return ((len(inputs[0]),),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Have no batch axis: the extents are those of the whole batch."""
        del batched, inputs, outputs
        return Batch.ABSENT

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Read any layout, as only the shape matters."""
        del outputs
        return Arrangement(inputs=(inputs[0].layout,), outputs=(Layout.plain(1),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer that returns the extents in Caffe's axis order, which Keras does not know."""
        del ctx
        x = inputs[0]
        return runtime("TensorShape", tuple(x.layout.tensor_axis(axis) for axis in range(x.rank)))(x)


@register("Python:reshape.Reshape")
@dataclass(frozen=True, slots=True, kw_only=True)
class PythonReshape(Layer):
    """The values of the first bottom, with the extents that the second bottom contains (Synopsys).

    The extents are known only when the network runs. The last of them may be -1; it is then computed from the others.
    The batch size of the converted network is that of the definition. The layer cannot work in place.

    Parameters: none.

    Bottoms: two; the first of any shape, the second (R) with the extents. Tops: one, of R axes. Trained blobs: none.

    Source: ``python/reshape.py`` of github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Check that the layer does not work in place; it has no parameters."""
        forbid_in_place(proto)
        return cls()

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return one unknown extent for each number in the second bottom."""
        shape = inputs[1]
        if len(shape) != 1 or shape[0] is None:
            raise LayerError(f"the second bottom (the extents) must have one axis, not {format_shape(shape)}")
        return ((None,) * shape[0],)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Fix the batch size: whether axis 0 stays the batch is known only when the network runs."""
        del batched, inputs, outputs
        return Batch.FIXED

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer: Keras' Reshape needs the extents in advance."""
        del ctx
        return runtime("ReshapeTo", inputs[1].shape[0])(*inputs)
