"""ExpandDimsND: insertion of axes of extent 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.layer import Batch, Layer
from caffe2tf.ir.shape import Shape
from caffe2tf.layers.registry import register
from caffe2tf.layers.regroup import Extents, Regroup
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["ExpandDimsND"]


@register("ExpandDimsND")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExpandDimsND(Regroup):
    """Insertion of axes of extent 1 (Synopsys).

    The first axis is inserted at the first `axis`, the second at the second `axis` + 1, and so on, in the order in
    which they are given. The layer cannot work in place.

    | parameter (``expand_dims_nd_param``) | default | meaning |
    |---|---|---|
    | axis | none | axis of the bottom before which an axis is inserted, once for each; -1 for after the last axis |

    Bottoms: one, of any shape. Tops: one, with an axis more for each `axis`. Trained blobs: none.

    Source: ``src/caffe/layers/expand_dims_nd_layer.cpp`` of
    github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    reads_unknown: ClassVar[tuple[str, ...]] = ("expand_dims_nd_param",)

    axis: tuple[int, ...] = ()

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``expand_dims_nd_param``."""
        forbid_in_place(proto)
        return cls(axis=proto.extra.block("expand_dims_nd_param").only("axis").whole_numbers("axis"))

    def top(self, bottom: Extents) -> Extents:
        """Insert one axis after the other."""
        top = list(bottom)
        for inserted, axis in enumerate(self._positions(len(bottom))):
            top.insert(axis + inserted, 1)
        return tuple(top)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless an axis is inserted before it."""
        return (
            Layer.trace_batch(self, batched, inputs, outputs)
            if self._positions(len(inputs[0]))[:1] != [0]
            else Batch.FIXED
        )

    def _positions(self, rank: int) -> list[int]:
        for axis in self.axis:
            if not -rank <= axis <= rank:
                raise LayerError(
                    f"expand_dims_nd_param.axis must be from {-rank} to {rank} for a bottom of {rank} axes, not {axis}"
                )
        return [axis + rank + 1 if axis < 0 else axis for axis in self.axis]
