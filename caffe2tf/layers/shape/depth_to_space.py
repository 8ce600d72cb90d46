"""DepthToSpace: channels become places of a larger image."""

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
"""Caffe's axes of channels, height and width, where Caffe itself names them."""
CHANNELS_LAST = (3, 1, 2)
"""Those axes in a blob that holds N, H, W, C."""


@register("DepthToSpace")
@dataclass(frozen=True, slots=True, kw_only=True)
class DepthToSpace(Layer):
    """Each `block_size` x `block_size` square of the top is a run of the bottom's channels; of Synopsys' Caffe.

    With b the block size, ``y[c, b h + i, b w + j]`` is ``x[(b i + j) C + c, h, w]``, C being the top's channels, or
    in the order CRD ``x[(b c + i) b + j, h, w]``.

    | parameter | default | meaning |
    |---|---|---|
    | block_size | required | |
    | data_format | NHWC | the bottom's axes: NCHW (also DCR) or NHWC; CRD is NCHW with the other order of channels |

    Not computed in place.
    """

    block_size: int
    data_format: str

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        forbid_in_place(proto)
        p = proto.message.depth_to_space_param
        if p.block_size < 1:
            raise LayerError(f"depth_to_space_param.block_size must be given, 1 or more, not {p.block_size}")
        if p.data_format not in ("NHWC", "NCHW", "DCR", "CRD"):
            raise LayerError(f"depth_to_space_param.data_format must be NHWC, NCHW, DCR or CRD, not {p.data_format!r}")
        return cls(block_size=p.block_size, data_format=p.data_format)

    @property
    def axes(self) -> tuple[int, int, int]:
        """Caffe's axes of channels, height and width."""
        return CHANNELS_LAST if self.data_format == "NHWC" else CHANNELS_FIRST

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Fewer channels, a larger image."""
        return (spread_shape(inputs[0], self.block_size, self.axes, "depth_to_space_param.block_size"),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels first or last."""
        del outputs
        layout = image_layout(inputs[0], self.axes)
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own; nothing where the squares hold one place."""
        del ctx
        inner = self.data_format == "CRD"
        return inputs[0] if self.block_size == 1 else spread(inputs[0], self.block_size, self.axes, inner=inner)


def spread_shape(shape: Shape, size: int, axes: tuple[int, int, int], field: str) -> Shape:
    """The shape of ``shape`` with its channels spread over squares of ``size``; raises LayerError where it cannot be.

    Args:
        shape: in Caffe's axes.
        size: places along each side of a square.
        axes: Caffe's axes of channels, height and width.
        field: the parameter that gives ``size``, for messages.
    """
    if len(shape) != 4:
        raise LayerUnsupportedError(f"only blobs of 4 axes can be taken, not {format_shape(shape)}")
    top = list(shape)
    channels, *places = axes
    depth = shape[channels]
    if depth is not None and depth % size**2:
        raise LayerError(
            f"the {depth} channels (axis {channels}) must be a multiple of the {size**2} places of a square; "
            f"{field} is {size}"
        )
    top[channels] = None if depth is None else depth // size**2
    for axis in places:
        extent = shape[axis]
        top[axis] = None if extent is None else extent * size
    return tuple(top)


def image_layout(x: Value, axes: tuple[int, int, int] = CHANNELS_FIRST) -> Layout:
    """Channels first where they are so in the tensor already, else channels last.

    Args:
        x: a blob of 4 axes, the first of them the batch.
        axes: Caffe's axes of channels, height and width.
    """
    channels, height, width = axes
    first, last = Layout((0, channels, height, width)), Layout((0, height, width, channels))
    return first if x.layout == first else last


def spread(x: Value, size: int, axes: tuple[int, int, int] = CHANNELS_FIRST, *, inner: bool = False) -> Expr:
    """The channels of ``x``, in a layout of `image_layout`, spread over squares of ``size``.

    Args:
        x: a blob of 4 axes.
        size: places along each side of a square.
        axes: Caffe's axes of channels, height and width.
        inner: whether the places are the inner part of the channels.
    """
    return runtime("DepthToSpace", size, inner=inner or OMIT, data_format=data_format(x, axes))(x)


def data_format(x: Value, axes: tuple[int, int, int] = CHANNELS_FIRST) -> Literal:
    """Keras' word for the layout of ``x``, one of `image_layout`, as an argument."""
    return unless("channels_first" if x.layout.axes[1] == axes[0] else "channels_last", "channels_last")
