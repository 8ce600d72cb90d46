"""ExpandDimsND: axes of extent 1 put in."""

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
    """The bottom with more axes, of extent 1; of Synopsys' Caffe.

    | parameter (expand_dims_nd_param) | default | meaning |
    |---|---|---|
    | axis | none | before which of the bottom's axes one is put in, once for each; -1: behind the last |

    The first of them is put in at its `axis`, the second at its `axis` + 1, and so on, whatever their order. Not
    computed in place.
    """

    reads_unknown: ClassVar[tuple[str, ...]] = ("expand_dims_nd_param",)

    axis: tuple[int, ...] = ()

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The axes."""
        forbid_in_place(proto)
        return cls(axis=proto.extra.block("expand_dims_nd_param").only("axis").whole_numbers("axis"))

    def top(self, bottom: Extents) -> Extents:
        """One after the other is put in."""
        top = list(bottom)
        for put_in, axis in enumerate(self._places(len(bottom))):
            top.insert(axis + put_in, 1)
        return tuple(top)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Unless an axis is put in before axis 0."""
        return (
            Layer.trace_batch(self, batched, inputs, outputs)
            if self._places(len(inputs[0]))[:1] != [0]
            else Batch.FIXED
        )

    def _places(self, rank: int) -> list[int]:
        for axis in self.axis:
            if not -rank <= axis <= rank:
                allowed = f"from {-rank} to {rank}, for the bottom has {rank} axes"
                raise LayerError(f"expand_dims_nd_param.axis must be {allowed}; it is {axis}")
        return [axis + rank + 1 if axis < 0 else axis for axis in self.axis]
