"""Concat: concatenation of blobs along one axis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, keras, unless
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.regroup import axis_of

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Concat", "axis_by_either_name"]


@register("Concat")
@dataclass(frozen=True, slots=True, kw_only=True)
class Concat(Layer):
    """Concatenation of the bottoms along one axis, in their order.

    A single bottom is not copied: its top shares its memory.

    | parameter (``concat_param``) | default | meaning |
    |---|---|---|
    | axis | 1 | axis of the concatenation; may be negative |
    | concat_dim | 1 | old name of `axis`; not negative, and not together with `axis` |

    Bottoms: one or more, of equal shapes except along `axis`. Tops: one, whose extent along `axis` is the sum of those
    of the bottoms. Trained blobs: none.

    Source: ``src/caffe/layers/concat_layer.cpp``.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)

    axis: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``concat_param``, with the axis under its new name or its old one."""
        p = proto.message.concat_param
        old = p.concat_dim if p.HasField("concat_dim") else None
        return cls(axis=axis_by_either_name(p.axis if p.HasField("axis") else None, old, "concat"))

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Return whether there is a single bottom, which Caffe does not copy."""
        return bottoms == 1

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottoms with the sum of their extents along the axis."""
        first = inputs[0]
        axis = axis_of(first, self.axis, "concat_param.axis")
        for shape in inputs[1:]:
            if len(shape) != len(first):
                raise LayerError(
                    f"all bottoms must have the same number of axes; the shapes {format_shape(first)} and "
                    f"{format_shape(shape)} are given"
                )
            pairs = [p for i, p in enumerate(zip(first, shape, strict=True)) if i != axis and None not in p]
            if any(a != b for a, b in pairs):
                raise LayerError(
                    f"all bottoms must have the same extents except along axis {axis}; the shapes "
                    f"{format_shape(first)} and {format_shape(shape)} are given"
                )
        extents = [next((d for d in column if d is not None), None) for column in zip(*inputs, strict=True)]
        joined = [s[axis] for s in inputs if s[axis] is not None]
        extents[axis] = sum(d for d in joined if d is not None) if len(joined) == len(inputs) else None
        return (tuple(extents),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless several bottoms are concatenated along axis 0."""
        axis = axis_of(inputs[0], self.axis, "concat_param.axis")
        return Layer.trace_batch(self, batched, inputs, outputs) if (axis != 0 or len(inputs) == 1) else Batch.FIXED

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use the most common layout for all bottoms; along a flattened axis, each bottom keeps its own order."""
        if len(inputs) == 1:
            return Arrangement(inputs=(inputs[0].layout,), outputs=(inputs[0].layout,))
        axis = axis_of(inputs[0].shape, self.axis, "concat_param.axis")
        if axis == 1 and any(v.layout.blocks for v in inputs):
            return _end_to_end(inputs)
        layout = most_common_layout(inputs)
        return Arrangement(inputs=(layout,) * len(inputs), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' Concatenate; nothing for a single bottom."""
        x = inputs[0]
        if len(inputs) == 1:
            return x
        axis = x.layout.tensor_axis(axis_of(x.shape, self.axis, "concat_param.axis"))
        return keras("Concatenate", axis=unless(axis, x.rank - 1))(*inputs)


def axis_by_either_name(axis: int | None, old: int | None, name: str) -> int:
    """Return the axis that is given as ``{name}_param.axis`` or by its old name ``{name}_dim``; 1 if neither is given.

    Args:
        axis: the value of ``axis``; None if absent.
        old: the value of ``{name}_dim``, an unsigned field; None if absent.
        name: ``concat`` or ``slice``.

    Raises:
        LayerError: both are given, or the old one is negative.
    """
    if axis is not None and old is not None:
        raise LayerError(f"give either {name}_param.axis or {name}_dim, not both; remove {name}_dim")
    if old is not None and old >= 1 << 31:
        negative = old - (1 << 32)
        raise LayerError(f"{name}_param.{name}_dim must be 0 or more, not {negative}; only axis may be negative")
    return next((a for a in (axis, old) if a is not None), 1)


def most_common_layout(values: Sequence[Value]) -> Layout:
    """Return the most common layout of the values; of equally common ones, one that is not Caffe's own axis order."""
    counts = Counter(v.layout for v in values)
    return max(counts, key=lambda layout: (counts[layout], not layout.is_plain))


def _end_to_end(inputs: Sequence[Value]) -> Arrangement:
    """Concatenate flattened blobs along their flattened axis; each keeps its blocks, if all extents are known."""
    if any(v.layout.axes != (0, 1) or v.shape[1] is None for v in inputs):
        plain = Layout.plain(2)
        return Arrangement(inputs=(plain,) * len(inputs), outputs=(plain,))
    blocks = [b for v in inputs for b in v.layout.axis_blocks(1, v.shape[1] or 0)]
    return Arrangement(inputs=tuple(v.layout for v in inputs), outputs=(Layout.flat(blocks),))
