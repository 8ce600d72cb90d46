"""ContinuationIndicator: tells a recurrent layer where sequences begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from caffe2tf.ir.weight import Array
from caffe2tf.layers.data.source import Source
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["ContinuationIndicator"]


@register("ContinuationIndicator")
@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuationIndicator(Source):
    """Tells a recurrent layer where sequences begin; its top is an input of the converted network.

    | parameter (continuation_indicator_param) | default | meaning |
    |---|---|---|
    | time_step | required | T, extent of axis 0 |
    | batch_size | | N, extent of axis 1; if absent, give the shape |
    | flag | false | whether all sequences continue those of the batch before |
    | axis | | ignored |

    Top: (T, N). If the network runs without an array for it, the values are 0 at the first time step and 1 after it;
    1 throughout with `flag`.

    Deviation: in forks where the layer reads a blob, sequences whose value there is 1 continue. That is not computed:
    feed the top of such a layer.

    Source: ``src/caffe/layers/continuation_indicator_layer.cpp`` of github.com/intel/caffe; other forks add `flag` and
    the bottom.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (0, 1)
    tops: ClassVar[tuple[int, int | None]] = (1, 1)
    reads_unknown: ClassVar[tuple[str, ...]] = ("continuation_indicator_param",)

    continues: bool = False
    computed: bool = True

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read the extents, as far as they are given."""
        p = proto.extra.block("continuation_indicator_param").only("time_step", "batch_size", "flag", "axis")
        times, batch = p.whole_number("time_step", least=1), p.whole_number("batch_size", 0, least=0)
        shape = (times, batch) if batch else None
        return cls(shapes=(shape,), names=proto.tops, continues=p.boolean("flag"), computed=not proto.bottoms)

    def default(self, top: int, shape: tuple[int, ...]) -> Array | None:
        """Return the values of the top, or None if the layer reads a blob."""
        del top
        if not self.computed:
            return None
        values = np.ones(shape, np.float32)
        values[:1] = self.continues
        return values
