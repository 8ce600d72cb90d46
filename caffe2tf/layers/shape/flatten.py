"""Flatten: several axes become one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.layers.registry import register
from caffe2tf.layers.regroup import Extents, Regroup, axis_of
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Flatten"]


@register("Flatten")
@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten(Regroup):
    """The axes from `axis` to `end_axis` become one axis. The order of the values in memory does not change.

    If `end_axis` is the axis just before `axis`, an axis of extent 1 is inserted between them. The layer cannot work in
    place. Its top shares the memory of its bottom.

    A flattened channels-last tensor keeps its own order of the values in the converted network. The layers that read it
    take this order into account, for example in their weights.

    | parameter (``flatten_param``) | default | meaning |
    |---|---|---|
    | axis | 1 | first axis that is flattened; may be negative |
    | end_axis | -1 | last axis that is flattened; may be negative |

    Bottoms: one, for example (N, C, H, W). Tops: one, by default (N, C * H * W). Trained blobs: none.

    Source: ``src/caffe/layers/flatten_layer.cpp``.
    """

    axis: int
    end_axis: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``flatten_param``."""
        forbid_in_place(proto)
        p = proto.message.flatten_param
        return cls(axis=p.axis, end_axis=p.end_axis)

    def top(self, bottom: Extents) -> Extents:
        """Replace the flattened axes by one of their product."""
        start = axis_of(bottom, self.axis, "flatten_param.axis")
        end = axis_of(bottom, self.end_axis, "flatten_param.end_axis")
        if end < start - 1:
            raise LayerError(
                f"flatten_param.end_axis ({self.end_axis}) must not be before axis ({self.axis}): "
                f"in a blob of {len(bottom)} axes they are axis {end} and axis {start}"
            )
        return (*bottom[:start], math.prod(bottom[start : end + 1]), *bottom[end + 1 :])
