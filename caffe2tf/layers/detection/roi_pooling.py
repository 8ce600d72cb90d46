"""ROIPooling and PSROIPooling: features pooled over boxes (regions of interest)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import Expr, runtime, short, unless
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.checks import check_finite
from caffe2tf.layers.extents import values_after
from caffe2tf.layers.loss.loss_base import layout_in_order
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["PSROIPooling", "ROIPooling"]


class _OverBoxes(Layer):
    """A layer of features (N, C, H, W) and of boxes (R, 5): image, left, top, right, bottom; one output item for each.

    There may be any number of images and, apart from it, any number of boxes.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    __slots__ = ()

    @abstractmethod
    def grid(self, channels: int | None) -> Shape:
        """Channels, rows and columns of what is made of each box."""

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A grid for each box."""
        features, rois = inputs
        if len(features) != 4:
            raise LayerUnsupportedError(
                f"the first bottom must have the four axes N, C, H, W: it is {format_shape(features)}"
            )
        if not rois or values_after(rois, 1, "the extents of the boxes") < 5:
            raise LayerError(
                "the second bottom must have five values for each box (image, left, top, right, bottom): "
                f"it is {format_shape(rois)}"
            )
        return ((rois[0], *self.grid(features[1])),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """There are as many items as boxes, each of which names its image."""
        del inputs, outputs
        return Batch.KEPT if batched[1] else Batch.ABSENT

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last."""
        features = Layout.channels_last(4)
        return Arrangement(inputs=(features, layout_in_order(inputs[1])), outputs=(features,))


@register("ROIPooling")
@dataclass(frozen=True, slots=True, kw_only=True)
class ROIPooling(_OverBoxes):
    """The largest value of each channel in each cell of a grid laid over each box.

    The corners of a box are multiplied by `spatial_scale` and rounded, halves away from zero; the box is at least one
    value wide and high. Cells overlap where its extent is no multiple of the grid's; a cell beyond the features is 0.

    | parameter | default | meaning |
    |---|---|---|
    | pooled_h | none | rows of the grid |
    | pooled_w | none | columns of the grid |
    | spatial_scale | 1 | extent of the features divided by that of the image in which the boxes are measured |

    A box must name an image that is there: otherwise Caffe ends the process, and TensorFlow raises an error on a CPU.
    """

    pooled_h: int
    pooled_w: int
    spatial_scale: float

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.roi_pooling_param
        for field in ("pooled_h", "pooled_w"):
            if getattr(p, field) < 1:
                raise LayerError(f"roi_pooling_param.{field} must be greater than 0: give it")
        check_finite("roi_pooling_param.spatial_scale", [p.spatial_scale])
        return cls(pooled_h=p.pooled_h, pooled_w=p.pooled_w, spatial_scale=p.spatial_scale)

    def grid(self, channels: int | None) -> Shape:
        """The channels of the features."""
        return channels, self.pooled_h, self.pooled_w

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A runtime layer."""
        scale = unless(short(self.spatial_scale), 1.0)
        return runtime("ROIPooling", self.pooled_h, self.pooled_w, spatial_scale=scale)(*inputs)


@register("PSROIPooling")
@dataclass(frozen=True, slots=True, kw_only=True)
class PSROIPooling(_OverBoxes):
    """The mean of each cell of a square grid laid over each box, each cell in channels of its own (R-FCN).

    Channel ``(k * group_size + i) * group_size + j`` of the features gives channel k of the output in row i and column
    j of the grid. The corners of a box are rounded, halves away from zero, and then multiplied by `spatial_scale`; the
    right and bottom ones count as 1 more. A cell beyond the features is 0.

    | parameter | default | meaning |
    |---|---|---|
    | spatial_scale | none | extent of the features divided by that of the image in which the boxes are measured |
    | output_dim | none | channels of the output |
    | group_size | none | rows, and columns, of the grid |
    """

    spatial_scale: float
    output_dim: int
    group_size: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.psroi_pooling_param
        if not p.HasField("spatial_scale"):
            raise LayerError("psroi_pooling_param.spatial_scale is required: give it")
        check_finite("psroi_pooling_param.spatial_scale", [p.spatial_scale])
        for field in ("output_dim", "group_size"):
            if getattr(p, field) < 1:
                raise LayerError(
                    f"psroi_pooling_param.{field} must be greater than 0, not {getattr(p, field)}: give it"
                )
        return cls(spatial_scale=p.spatial_scale, output_dim=p.output_dim, group_size=p.group_size)

    def grid(self, channels: int | None) -> Shape:
        """`output_dim` channels."""
        wanted = self.output_dim * self.group_size**2
        if channels not in (wanted, None):
            raise LayerError(
                f"the first bottom must have output_dim * group_size * group_size = {wanted} channels, not {channels}"
            )
        return self.output_dim, self.group_size, self.group_size

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A runtime layer."""
        return runtime("PSROIPooling", short(self.spatial_scale), self.output_dim, self.group_size)(*inputs)
