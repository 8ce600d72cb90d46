"""The common part of layers that resize images to a given size, or to the size of another bottom."""

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
    """A layer that resizes its first bottom to a given size, or to that of a second bottom, whose values it ignores.

    Attributes:
        size: height and width; None for those of the second bottom.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)

    size: tuple[int, int] | None

    @staticmethod
    def stated(proto: LayerProto, height: int, width: int, names: str) -> tuple[int, int] | None:
        """Return the size that the parameters give; None if there is a second bottom, which takes precedence.

        Args:
            proto: the definition.
            height: the parameter for the height; 0 if it is not given.
            width: the parameter for the width; 0 if it is not given.
            names: both parameters, for the message.

        Raises:
            LayerError: height or width is 0.
        """
        if len(proto.bottoms) > 1:
            return None
        if not (height and width):
            raise LayerError(
                f"{names} must be 1 or more, not {height} and {width}; or give a second bottom of the size wanted"
            )
        return height, width

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the first bottom with the new size."""
        image_size(inputs[0])
        return ((*inputs[0][:2], *(self.size or image_size(inputs[1]))),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Follow the first bottom; of the second, only height and width matter."""
        if not batched[0]:
            return Batch.ABSENT
        return Batch.kept_if(same_batch(inputs[0], *outputs))

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC; keep the layout of a second bottom, whose values are not read."""
        layout = Layout.channels_last(4)
        return Arrangement(inputs=(layout, *(v.layout for v in inputs[1:])), outputs=(layout,))


def image_size(shape: Shape) -> tuple[int, int]:
    """Return the height and width of a blob of images.

    Raises:
        LayerError: the blob does not have 4 axes, or its height or width is not known.
    """
    if len(shape) != 4:
        raise LayerError(f"the layer takes bottoms of 4 axes (N, C, H, W), not {format_shape(shape)}")
    height, width = known(shape[2:], "height and width of a bottom")
    return height, width
