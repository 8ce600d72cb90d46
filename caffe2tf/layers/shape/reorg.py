"""Reorg: YOLO's exchange of image size for channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import Expr, runtime
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.shape.depth_to_space import CHANNELS_FIRST, data_format, image_layout, spread, spread_shape
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["DarknetReorg", "Reorg"]


@register("Reorg")
@dataclass(frozen=True, slots=True, kw_only=True)
class Reorg(Layer):
    """A smaller image of more channels, or with `reverse` a larger one of fewer; of the YOLO forks.

    With s the stride, the bottom's values are read in their order in memory as an image of ``C / s^2`` channels,
    ``s H`` rows and ``s W`` columns. Its value ``[c, s h + i, s w + j]`` becomes the one at ``[(s i + j) C / s^2 + c,
    h, w]`` of an image of C channels, H rows and W columns, which in memory is the top: ``s^2 C``, ``H / s``,
    ``W / s``. That is not a space-to-depth. With `reverse` it is a depth-to-space:
    ``y[c, s h + i, s w + j] = x[(s i + j) C / s^2 + c, h, w]``.

    | parameter | default | meaning |
    |---|---|---|
    | stride | required | by how much each side shrinks |
    | reverse | false | each side grows |

    Not computed in place. Synopsys' Caffe takes height for width, which is the same for square images alone; here they
    are what they are. Where an extent is no multiple of what it is divided by, Caffe writes past the end of the
    top; that is an error here.
    """

    stride: int
    reverse: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        forbid_in_place(proto)
        p = proto.message.reorg_param
        if not p.HasField("stride"):
            raise LayerError("reorg_param.stride must be given")
        if p.stride < 1:
            raise LayerError(f"reorg_param.stride must be 1 or more, not {p.stride}")
        return cls(stride=p.stride, reverse=p.reverse)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Sides divided by the stride, channels times its square; or the other way round."""
        shape = inputs[0]
        if self.reverse:
            return (spread_shape(shape, self.stride, CHANNELS_FIRST, "reorg_param.stride"),)
        if len(shape) != 4:
            raise LayerUnsupportedError(f"only blobs of 4 axes can be taken, not {format_shape(shape)}")
        top: list[int | None] = [shape[0]]
        for axis, unit in ((1, self.stride**2), (2, self.stride), (3, self.stride)):
            extent = shape[axis]
            if extent is not None and extent % unit:
                raise LayerError(
                    f"axis {axis} of the bottom ({format_shape(shape)}) must be a multiple of {unit} for "
                    f"reorg_param.stride {self.stride}; choose another image size"
                )
            after = extent * unit if axis == 1 and extent is not None else extent
            top.append(after if after is None or axis == 1 else after // unit)
        return (tuple(top),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels first or last."""
        del outputs
        layout = image_layout(inputs[0])
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own; nothing for a stride of 1."""
        del ctx
        if self.stride == 1:
            return inputs[0]
        if self.reverse:
            return spread(inputs[0], self.stride)
        return runtime("Reorg", self.stride, data_format=data_format(inputs[0]))(inputs[0])


@register("Python:yolov2.darknet_reorg")
@dataclass(frozen=True, slots=True, kw_only=True)
class DarknetReorg(Reorg):
    """`Reorg` with a stride of 2, as Python code of Synopsys' Caffe."""

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """It has no parameters."""
        forbid_in_place(proto)
        return cls(stride=2)
