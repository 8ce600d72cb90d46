"""Squeeze: removal of axes of extent 1."""

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
    """Removal of axes of extent 1 (Synopsys).

    Without `axis`, axis 0 is removed, too, if the batch size of the definition is 1. The layer cannot work in place.

    | parameter (``squeeze_param``) | default | meaning |
    |---|---|---|
    | axis | all axes of extent 1 | axis that is removed, once for each; may be negative |

    Bottoms: one, of any shape. Tops: one, without these axes. Trained blobs: none.

    Source: ``src/caffe/layers/squeeze_layer.cpp`` of github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    axis: tuple[int, ...] = ()

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``squeeze_param``."""
        forbid_in_place(proto)
        return cls(axis=tuple(proto.message.squeeze_param.axis))

    def top(self, bottom: Extents) -> Extents:
        """Return the extents of the axes that stay."""
        removed = self._removed(bottom)
        return tuple(d for axis, d in enumerate(bottom) if axis not in removed)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless axis 0 is removed."""
        return (
            Layer.trace_batch(self, batched, inputs, outputs)
            if 0 not in self._removed(stand_ins(inputs[0]))
            else Batch.FIXED
        )

    def _removed(self, bottom: Extents) -> set[int]:
        if not self.axis:
            return {axis for axis, d in enumerate(bottom) if d == 1}
        axes = {axis_of(bottom, axis, "squeeze_param.axis") for axis in self.axis}
        for axis in sorted(axes):
            if bottom[axis] != 1:
                extent = bottom[axis] if is_known(bottom[axis]) else "known only at run time"
                raise LayerError(
                    f"squeeze_param.axis may only name axes of extent 1; the extent of axis {axis} is {extent}: "
                    "remove this axis from squeeze_param"
                )
        return axes
