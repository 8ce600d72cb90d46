"""Tile: repetition of a blob along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.regroup import axis_of

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Tile"]


@register("Tile")
@dataclass(frozen=True, slots=True, kw_only=True)
class Tile(Layer):
    """``y[..., i, ...] = x[..., i % n, ...]`` along one axis of extent n: the values 1, 2 become 1, 2, 1, 2.

    | parameter (``tile_param``) | default | meaning |
    |---|---|---|
    | axis | 1 | axis along which the bottom is repeated; may be negative |
    | tiles | required | number of repetitions; 1 for the bottom itself |

    Bottoms: one, of at least one axis. Tops: one, whose extent along `axis` is `tiles` times that of the bottom.
    Trained blobs: none.

    Source: ``src/caffe/layers/tile_layer.cpp``.
    """

    axis: int
    tiles: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``tile_param``."""
        p = proto.message.tile_param
        if not p.HasField("tiles"):
            raise LayerError("tile_param.tiles is required")
        if p.tiles < 1:
            raise LayerError(f"tile_param.tiles must be 1 or more, not {p.tiles}")
        return cls(axis=p.axis, tiles=p.tiles)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom with `tiles` times the extent along the axis."""
        shape = inputs[0]
        axis = axis_of(shape, self.axis, "tile_param.axis")
        extent = shape[axis]
        return ((*shape[:axis], None if extent is None else extent * self.tiles, *shape[axis + 1 :]),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless it is repeated along axis 0."""
        axis = axis_of(inputs[0], self.axis, "tile_param.axis")
        return Layer.trace_batch(self, batched, inputs, outputs) if (axis != 0 or self.tiles == 1) else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout; the blocks of a flattened axis are repeated with it."""
        layout = inputs[0].layout
        repeated = axis_of(inputs[0].shape, self.axis, "tile_param.axis") == 1 and layout.blocks
        after = Layout.flat(layout.blocks * self.tiles) if repeated else layout
        return Arrangement(inputs=(layout,), outputs=(after,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer, as Keras has no layer that tiles any axis; nothing for one tile."""
        x = inputs[0]
        if self.tiles == 1:
            return x
        return runtime("Tile", x.layout.tensor_axis(axis_of(x.shape, self.axis, "tile_param.axis")), self.tiles)(x)
