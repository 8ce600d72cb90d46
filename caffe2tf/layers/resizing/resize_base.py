"""What layers have in common that bring images to a stated size, or to the size of another bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from caffe2tf.errors import LayerError
from caffe2tf.ir.layer import Arrangement, Batch, Layer, same_batch
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.extents import known

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Resized", "image_size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resized(Layer):
    """A layer that brings its first bottom to a stated size, or to that of a second bottom, whose values do not matter.

    Attributes:
        size: height and width; None for those of the second bottom.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)

    size: tuple[int, int] | None

    @staticmethod
    def stated(proto: LayerProto, height: int, width: int, names: str) -> tuple[int, int] | None:
        """The size that the parameters state; None where there is a second bottom, which comes before them."""
        if len(proto.bottoms) > 1:
            return None
        if not (height and width):
            raise LayerError(
                f"{names} must be 1 or more, not {height} and {width}; or give a second bottom, whose size it is to be"
            )
        return height, width

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The first bottom's shape with the other size."""
        image_size(inputs[0])
        return ((*inputs[0][:2], *(self.size or image_size(inputs[1]))),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """The first bottom decides: of a second one, only height and width matter."""
        if not batched[0]:
            return Batch.ABSENT
        return Batch.kept_if(same_batch(inputs[0], *outputs))

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last; of a second bottom it reads no value."""
        layout = Layout.channels_last(4)
        return Arrangement(inputs=(layout, *(v.layout for v in inputs[1:])), outputs=(layout,))


def image_size(shape: Shape) -> tuple[int, int]:
    """Height and width of a blob of images; raises LayerError where it is none, or they are not known."""
    if len(shape) != 4:
        raise LayerError(f"the layer takes bottoms of 4 axes (N, C, H, W), not {format_shape(shape)}")
    height, width = known(shape[2:], "height and width of a bottom")
    return height, width
