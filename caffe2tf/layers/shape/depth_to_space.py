"""DepthToSpace: channels become pixels of a larger image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import OMIT, Expr, Literal, runtime, unless
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.shape.split import forbid_in_place

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["CHANNELS_FIRST", "CHANNELS_LAST", "DepthToSpace", "data_format", "image_layout", "spread", "spread_shape"]

CHANNELS_FIRST = (1, 2, 3)
"""Axes of channels, height and width of a blob (N, C, H, W), as usual in Caffe."""
CHANNELS_LAST = (3, 1, 2)
"""Axes of channels, height and width of a blob (N, H, W, C)."""


@register("DepthToSpace")
@dataclass(frozen=True, slots=True, kw_only=True)
class DepthToSpace(Layer):
    """The channels of each pixel become a square of `block_size` x `block_size` pixels (Synopsys).

    With b the block size and C the number of channels of the top:

    - DCR, for `data_format` NCHW, DCR and NHWC: ``y[c, b * h + i, b * w + j] = x[(b * i + j) * C + c, h, w]``.
    - CRD: ``y[c, b * h + i, b * w + j] = x[(b * c + i) * b + j, h, w]``.

    The layer cannot work in place.

    | parameter (``depth_to_space_param``) | default | meaning |
    |---|---|---|
    | block_size | required | extent of a square |
    | data_format | NHWC | axes of the bottom: NHWC, or NCHW, for which the order of channels DCR or CRD may be given |

    Bottoms: one, (N, b * b * C, H, W); for NHWC (N, H, W, b * b * C). Tops: one, (N, C, b * H, b * W); for NHWC
    (N, b * H, b * W, C). Trained blobs: none.

    Source: ``src/caffe/layers/depth_to_space_layer.cpp`` of
    github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe.
    """

    block_size: int
    data_format: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``depth_to_space_param``."""
        forbid_in_place(proto)
        p = proto.message.depth_to_space_param
        if not p.HasField("block_size"):
            raise LayerError("depth_to_space_param.block_size is required")
        if p.block_size < 1:
            raise LayerError(f"depth_to_space_param.block_size must be 1 or more, not {p.block_size}")
        if p.data_format not in ("NHWC", "NCHW", "DCR", "CRD"):
            raise LayerError(f"depth_to_space_param.data_format must be NHWC, NCHW, DCR or CRD, not {p.data_format!r}")
        return cls(block_size=p.block_size, data_format=p.data_format)

    @property
    def axes(self) -> tuple[int, int, int]:
        """Axes of channels, height and width of the bottom."""
        return CHANNELS_LAST if self.data_format == "NHWC" else CHANNELS_FIRST

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return a larger image with fewer channels."""
        return (spread_shape(inputs[0], self.block_size, self.axes, "depth_to_space_param.block_size"),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep a layout with channels first; else use channels last."""
        del outputs
        layout = image_layout(inputs[0], self.axes)
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer, as Keras has no depth-to-space; nothing for a block size of 1."""
        del ctx
        inner = self.data_format == "CRD"
        return inputs[0] if self.block_size == 1 else spread(inputs[0], self.block_size, self.axes, inner=inner)


def spread_shape(shape: Shape, size: int, axes: tuple[int, int, int], field: str) -> Shape:
    """Return the shape of a blob whose channels become squares of pixels.

    Args:
        shape: the shape of the bottom, in Caffe's axis order.
        size: extent of a square.
        axes: axes of channels, height and width.
        field: the parameter that states `size`, for the message.

    Raises:
        LayerError: the number of channels is not a multiple of the pixels of a square.
        LayerUnsupportedError: the bottom does not have 4 axes.
    """
    if len(shape) != 4:
        raise LayerUnsupportedError(f"only bottoms of 4 axes are supported, not {format_shape(shape)}")
    top = list(shape)
    channels, *spatial = axes
    depth = shape[channels]
    if depth is not None and depth % size**2:
        raise LayerError(
            f"the number of channels ({depth}, axis {channels}) must be a multiple of {size**2}, as {field} is {size}"
        )
    top[channels] = None if depth is None else depth // size**2
    for axis in spatial:
        extent = shape[axis]
        top[axis] = None if extent is None else extent * size
    return tuple(top)


def image_layout(x: Value, axes: tuple[int, int, int] = CHANNELS_FIRST) -> Layout:
    """Return channels first if this is the present layout, else channels last.

    Args:
        x: a blob of 4 axes, the first of them the batch.
        axes: axes of channels, height and width.
    """
    channels, height, width = axes
    first, last = Layout((0, channels, height, width)), Layout((0, height, width, channels))
    return first if x.layout == first else last


def spread(x: Value, size: int, axes: tuple[int, int, int] = CHANNELS_FIRST, *, inner: bool = False) -> Expr:
    """Return a call of the runtime layer that turns channels into squares of pixels.

    Args:
        x: a blob of 4 axes, in a layout of `image_layout`.
        size: extent of a square.
        axes: axes of channels, height and width.
        inner: whether the position in the square varies fastest along the channels (the order CRD).
    """
    return runtime("DepthToSpace", size, inner=inner or OMIT, data_format=data_format(x, axes))(x)


def data_format(x: Value, axes: tuple[int, int, int] = CHANNELS_FIRST) -> Literal:
    """Return Keras' ``data_format`` for a layout of `image_layout`; OMIT for channels last, the default."""
    return unless("channels_first" if x.layout.axes[1] == axes[0] else "channels_last", "channels_last")
