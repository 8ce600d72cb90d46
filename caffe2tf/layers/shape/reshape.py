"""Reshape: the same values with other axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr
from caffe2tf.ir.layer import Arrangement, Batch, Context
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.regroup import UNSETTLED, Extents, Regroup, is_known, revealed
from caffe2tf.layers.shape.depth_to_space import CHANNELS_FIRST, image_layout, spread, spread_shape
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Reshape"]


@register("Reshape")
@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape(Regroup):
    """The axes from `axis` on, `num_axes` of them, are replaced by `shape`. The order of the values does not change.

    An extent of 0 in `shape` copies the extent of the bottom at the same position. An extent of -1, at most once, is
    computed from the others. The layer cannot work in place. Its top shares the memory of its bottom.

    With a `pixelshuffler` r other than 1, the other parameters are ignored. The channels of each pixel become a square
    of r x r pixels: ``y[c, r * h + i, r * w + j] = x[(r * c + i) * r + j, h, w]``. The top then has memory of its own.

    | parameter (``reshape_param``) | default | meaning |
    |---|---|---|
    | shape | no axes | new extents; 0 and -1 as above |
    | axis | 0 | first axis that is replaced; negative numbers count from after the last axis (-1 replaces nothing) |
    | num_axes | -1 | number of axes that are replaced; -1 for all from `axis` on |
    | pixelshuffler | 1 | Synopsys: extent of a square, see above |

    Bottoms: one, of any shape; with `pixelshuffler` (N, r * r * C, H, W). Tops: one, with as many values as the bottom;
    with `pixelshuffler` (N, C, r * H, r * W). Trained blobs: none.

    Source: ``src/caffe/layers/reshape_layer.cpp``, also of
    github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    shape: tuple[int, ...]
    axis: int
    num_axes: int
    pixelshuffler: int = 1

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``reshape_param``; with a `pixelshuffler`, the other parameters are not checked."""
        forbid_in_place(proto)
        p = proto.message.reshape_param
        if p.pixelshuffler < 1:
            raise LayerError(f"reshape_param.pixelshuffler must be 1 or more, not {p.pixelshuffler}")
        shape = tuple(p.shape.dim)
        if p.pixelshuffler != 1:
            return cls(shape=shape, axis=p.axis, num_axes=p.num_axes, pixelshuffler=p.pixelshuffler)
        if shape.count(-1) > 1:
            raise LayerError(f"reshape_param.shape may contain -1 once, not {shape.count(-1)} times")
        if any(d < -1 for d in shape):
            raise LayerError(f"reshape_param.shape must contain positive extents, 0 or -1, not {min(shape)}")
        if p.num_axes < -1:
            raise LayerError(f"reshape_param.num_axes must be 0 or more, or -1 for all, not {p.num_axes}")
        return cls(shape=shape, axis=p.axis, num_axes=p.num_axes)

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Return whether the layer is a plain reshape, which Caffe does not copy."""
        return self.pixelshuffler == 1 and Regroup.shares_memory(self, bottoms, tops)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless axes are inserted before it; for a batch of 1 the extents do not show this."""
        before = self.pixelshuffler == 1 and self.shape and self._replaced(len(inputs[0])) == (0, 0)
        return Regroup.trace_batch(self, batched, inputs, outputs) if not before else Batch.FIXED

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the new axes; with `pixelshuffler`, a larger image with fewer channels."""
        if self.pixelshuffler == 1:
            return Regroup.infer(self, *inputs)
        return (spread_shape(inputs[0], self.pixelshuffler, CHANNELS_FIRST, "reshape_param.pixelshuffler"),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout if a reshape of the tensor can; with `pixelshuffler`, use channels first or last."""
        if self.pixelshuffler == 1:
            return Regroup.arrange(self, inputs, outputs)
        layout = image_layout(inputs[0])
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Reshape, Flatten or nothing; with `pixelshuffler` a runtime layer, as Keras has no depth-to-space."""
        if self.pixelshuffler == 1:
            return Regroup.emit(self, ctx, *inputs)
        return spread(inputs[0], self.pixelshuffler, inner=True)

    def top(self, bottom: Extents) -> Extents:
        """Replace the axes by the new ones, with 0 and -1 resolved."""
        start, end = self._replaced(len(bottom))
        new = [self._copied(bottom, start + i) if d == 0 else d for i, d in enumerate(self.shape)]
        if -1 in new:
            fixed = math.prod((*bottom[:start], *(d for d in new if d != -1), *bottom[end:]))
            new[new.index(-1)] = self._inferred(bottom, fixed)
        top = (*bottom[:start], *new, *bottom[end:])
        if math.prod(top) != math.prod(bottom) and not _may_be_equal(top, bottom):
            raise LayerError(
                f"the top must have as many values as the bottom: {format_shape(revealed(bottom))} cannot become "
                f"{format_shape(revealed(top))}"
            )
        return top

    def _replaced(self, rank: int) -> tuple[int, int]:
        """Return the first axis that is replaced, and the first one after it that is kept."""
        start = self.axis if self.axis >= 0 else rank + self.axis + 1
        if not 0 <= start <= rank:
            raise LayerError(
                f"reshape_param.axis {self.axis} is out of range for a blob of {rank} axes "
                f"(allowed: {-rank - 1} to {rank})"
            )
        end = rank if self.num_axes == -1 else start + self.num_axes
        if end > rank:
            raise LayerError(
                f"reshape_param.axis ({self.axis}) and num_axes ({self.num_axes}) exceed the bottom's {rank} axes"
            )
        return start, end

    @staticmethod
    def _copied(bottom: Extents, axis: int) -> int:
        if axis >= len(bottom):
            raise LayerError(
                f"a 0 in reshape_param.shape copies axis {axis} of the bottom, which has {len(bottom)} axes; "
                "give the extent itself"
            )
        return bottom[axis]

    @staticmethod
    def _inferred(bottom: Extents, fixed: int) -> int:
        """Return the extent for -1, where `fixed` is the product of the other extents."""
        count = math.prod(bottom)
        if count % fixed == 0:
            return count // fixed
        if not is_known(count // math.gcd(count, fixed)) or not is_known(fixed // math.gcd(count, fixed)):
            return UNSETTLED
        raise LayerError(
            f"the extent for -1 cannot be computed: the product of the other extents ({_number(fixed)}) must divide "
            f"the number of the bottom's values ({_number(count)})"
        )


def _may_be_equal(first: Extents, second: Extents) -> bool:
    """Return whether the products of the extents may be equal when the network runs."""
    a, b = math.prod(first), math.prod(second)
    common = math.gcd(a, b)
    return not (is_known(a // common) and is_known(b // common))


def _number(count: int) -> str:
    return str(count) if is_known(count) else "unknown"
