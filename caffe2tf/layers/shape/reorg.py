"""Reorg: YOLO's layer that trades image size for channels."""

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
    """A smaller image with more channels, or with `reverse` a larger image with fewer channels (YOLO).

    With s the stride, and (C, H, W) the shape of an item of the bottom:

    - Without `reverse`, three steps. The values of the item, in their order in memory, are read as z of shape
      (C / s ** 2, s * H, s * W). Then ``u[(s * i + j) * C / s ** 2 + c, h, w] = z[c, s * h + i, s * w + j]``, of shape
      (C, H, W). The values of u, in their order in memory, are the top. This is not a space-to-depth.
    - With `reverse`, a depth-to-space: ``y[c, s * h + i, s * w + j] = x[(s * i + j) * C / s ** 2 + c, h, w]``.

    The layer cannot work in place.

    | parameter (``reorg_param``) | default | meaning |
    |---|---|---|
    | stride | required | factor by which height and width shrink |
    | reverse | false | height and width grow instead |

    Bottoms: one, (N, C, H, W). Tops: one, (N, s ** 2 * C, H / s, W / s), or with `reverse` (N, C / s ** 2, s * H, s *
    W). Trained blobs: none.

    Deviations: Synopsys' fork exchanges height and width, so that it computes the above for square images only; here
    they are not exchanged. If an extent is not a multiple of its divisor, Caffe writes past the end of the top; this is
    an error here.

    Source: ``src/caffe/layers/reorg_layer.cpp``, for example of github.com/choasup/caffe-yolo9000 (without `reverse`)
    and github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    stride: int
    reverse: bool = False

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``reorg_param``."""
        forbid_in_place(proto)
        p = proto.message.reorg_param
        if not p.HasField("stride"):
            raise LayerError("reorg_param.stride is required")
        if p.stride < 1:
            raise LayerError(f"reorg_param.stride must be 1 or more, not {p.stride}")
        return cls(stride=p.stride, reverse=p.reverse)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return height and width divided by the stride, and the channels times its square, or the reverse."""
        shape = inputs[0]
        if self.reverse:
            return (spread_shape(shape, self.stride, CHANNELS_FIRST, "reorg_param.stride"),)
        if len(shape) != 4:
            raise LayerUnsupportedError(f"only bottoms of 4 axes are supported, not {format_shape(shape)}")
        top: list[int | None] = [shape[0]]
        for axis, unit in ((1, self.stride**2), (2, self.stride), (3, self.stride)):
            extent = shape[axis]
            if extent is not None and extent % unit:
                raise LayerError(
                    f"the extent of axis {axis} of the bottom ({format_shape(shape)}) must be a multiple of {unit} for "
                    f"reorg_param.stride {self.stride}; choose another image size"
                )
            after = extent * unit if axis == 1 and extent is not None else extent
            top.append(after if after is None or axis == 1 else after // unit)
        return (tuple(top),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep a layout with channels first; else use channels last."""
        del outputs
        layout = image_layout(inputs[0])
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer, as Keras has no such layer; nothing for a stride of 1."""
        del ctx
        if self.stride == 1:
            return inputs[0]
        if self.reverse:
            return spread(inputs[0], self.stride)
        return runtime("Reorg", self.stride, data_format=data_format(inputs[0]))(inputs[0])


@register("Python:yolov2.darknet_reorg")
@dataclass(frozen=True, slots=True, kw_only=True)
class DarknetReorg(Reorg):
    """`Reorg` with a stride of 2, as a Python layer (Synopsys). It has no parameters.

    Source: ``python/yolov2.py`` of github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Use the fixed stride; there are no parameters."""
        forbid_in_place(proto)
        return cls(stride=2)
