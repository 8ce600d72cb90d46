"""Squeeze: axes of extent 1 taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.layer import Batch, Layer
from caffe2tf.ir.shape import Shape
from caffe2tf.layers.registry import register
from caffe2tf.layers.regroup import Extents, Regroup, axis_of, is_known, stand_ins
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Squeeze"]


@register("Squeeze")
@dataclass(frozen=True, slots=True, kw_only=True)
class Squeeze(Regroup):
    """The bottom without some of its axes of extent 1; of Synopsys' Caffe.

    | parameter | default | meaning |
    |---|---|---|
    | axis | all axes of extent 1 | an axis that is taken away, once for each; may be negative |

    Without `axis`, axis 0 goes as well where the batch of the definition is 1. Not computed in place.
    """

    axis: tuple[int, ...] = ()

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The axes."""
        forbid_in_place(proto)
        return cls(axis=tuple(proto.message.squeeze_param.axis))

    def top(self, bottom: Extents) -> Extents:
        """The axes that stay."""
        gone = self._gone(bottom)
        return tuple(d for axis, d in enumerate(bottom) if axis not in gone)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Unless axis 0 is taken away."""
        return (
            Layer.trace_batch(self, batched, inputs, outputs)
            if 0 not in self._gone(stand_ins(inputs[0]))
            else Batch.FIXED
        )

    def _gone(self, bottom: Extents) -> set[int]:
        if not self.axis:
            return {axis for axis, d in enumerate(bottom) if d == 1}
        axes = {axis_of(bottom, axis, "squeeze_param.axis") for axis in self.axis}
        for axis in sorted(axes):
            if bottom[axis] != 1:
                extent = bottom[axis] if is_known(bottom[axis]) else "known only at run time"
                raise LayerError(
                    f"squeeze_param.axis may name axes of extent 1 alone: that of axis {axis} is {extent}; take it out"
                )
        return axes
