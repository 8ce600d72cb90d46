"""MemoryData: images and labels that the calling program hands over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.preprocessing import DataSource, SourceKind
from caffe2tf.ir.shape import format_shape
from caffe2tf.layers.data.image_base import ImageSource, read_transform
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["MemoryData"]


@register("MemoryData")
@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryData(ImageSource):
    """Images and labels from the memory of the calling program; its tops are inputs of the converted network.

    | parameter (memory_data_param) | default | meaning |
    |---|---|---|
    | batch_size, channels, height, width | required | shape of the first top |

    Tops: images (batch_size, channels, height, width) and labels (batch_size).

    Caffe applies `transform_param` (see Data) to Datum records and OpenCV images that the program adds, not to arrays
    that it sets directly, as the Python interface does.

    Source: ``src/caffe/layers/memory_data_layer.cpp``.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read the shape, all of whose extents must be positive, and the transformation."""
        p = proto.message.memory_data_param
        shape = (p.batch_size, p.channels, p.height, p.width)
        if min(shape) < 1:
            raise LayerError(
                "memory_data_param must give batch_size, channels, height and width, each 1 or more, "
                f"not {format_shape(shape)}"
            )
        return cls(
            shapes=(shape, shape[:1]),
            names=proto.tops,
            channels=p.channels,
            source=DataSource(kind=SourceKind.MEMORY, batch_size=p.batch_size, labels=1),
            preprocessing=read_transform(proto),
        )

    def with_mean(self, shape: Sequence[int]) -> Self:
        """Return the layer as it is: its own parameters state the shape."""
        del shape
        return self
