"""ROIPooling and PSROIPooling: pool features over boxes (regions of interest)."""

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
    """Base class of layers that pool features over boxes. There is one output item for each box.

    The number of images and the number of boxes are independent of each other.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    __slots__ = ()

    @abstractmethod
    def grid(self, channels: int | None) -> Shape:
        """Return channels, rows and columns of each output item."""

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of one grid for each box."""
        features, rois = inputs
        if len(features) != 4:
            raise LayerUnsupportedError(f"the first bottom must have 4 axes (N, C, H, W), not {format_shape(features)}")
        if not rois or values_after(rois, 1, "the extents of the boxes") < 5:
            raise LayerError(
                "the second bottom must have 5 values for each box (image, left, top, right, bottom), "
                f"not {format_shape(rois)}"
            )
        return ((rois[0], *self.grid(features[1])),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Follow the batch of the boxes, each of which names its image."""
        del inputs, outputs
        return Batch.KEPT if batched[1] else Batch.ABSENT

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC for features and output."""
        features = Layout.channels_last(4)
        return Arrangement(inputs=(features, layout_in_order(inputs[1])), outputs=(features,))


@register("ROIPooling")
@dataclass(frozen=True, slots=True, kw_only=True)
class ROIPooling(_OverBoxes):
    """Max pooling of each channel over the cells of a grid on each box.

    - The corners of a box are multiplied by `spatial_scale` and rounded, halves away from zero. The box includes both
      corners, and is at least one position wide and high.
    - Cells overlap if the extent of the box is not a multiple of the grid.
    - A cell outside the features gives 0.

    | parameter (``roi_pooling_param``) | default | meaning |
    |---|---|---|
    | pooled_h | required | rows of the grid |
    | pooled_w | required | columns of the grid |
    | spatial_scale | 1 | extent of the features divided by the extent of the image that the boxes refer to |

    Bottoms: features (N, C, H, W), and boxes (R, 5), rows of image, left, top, right and bottom. Tops: (R, C, pooled_h,
    pooled_w). Trained blobs: none.

    Deviations: if a box names an image that does not exist, Caffe ends the process, and TensorFlow raises an error on a
    CPU.

    Source: ``src/caffe/layers/roi_pooling_layer.cpp`` of github.com/rbgirshick/caffe-fast-rcnn.
    """

    pooled_h: int
    pooled_w: int
    spatial_scale: float

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``roi_pooling_param``."""
        p = proto.message.roi_pooling_param
        for field in ("pooled_h", "pooled_w"):
            if not p.HasField(field):
                raise LayerError(f"roi_pooling_param.{field} is required")
            if getattr(p, field) < 1:
                raise LayerError(f"roi_pooling_param.{field} must be 1 or more, not {getattr(p, field)}")
        check_finite("roi_pooling_param.spatial_scale", [p.spatial_scale])
        return cls(pooled_h=p.pooled_h, pooled_w=p.pooled_w, spatial_scale=p.spatial_scale)

    def grid(self, channels: int | None) -> Shape:
        """Keep the channels of the features."""
        return channels, self.pooled_h, self.pooled_w

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras does not pool over boxes."""
        scale = unless(short(self.spatial_scale), 1.0)
        return runtime("ROIPooling", self.pooled_h, self.pooled_w, spatial_scale=scale)(*inputs)


@register("PSROIPooling")
@dataclass(frozen=True, slots=True, kw_only=True)
class PSROIPooling(_OverBoxes):
    """Position-sensitive average pooling over the cells of a square grid on each box (R-FCN).

    - Each cell reads channels of its own: channel k of the output in row i and column j of the grid is the mean of
      channel ``(k * group_size + i) * group_size + j`` of the features.
    - The corners of a box are rounded, halves away from zero, and then multiplied by `spatial_scale`. The box ends one
      pixel of the image after its right bottom corner, and is at least 0.1 positions wide and high.
    - A cell outside the features gives 0.

    | parameter (``psroi_pooling_param``) | default | meaning |
    |---|---|---|
    | spatial_scale | required | extent of the features divided by the extent of the image that the boxes refer to |
    | output_dim | required | channels of the output |
    | group_size | required | rows and columns of the grid |

    Bottoms: features (N, output_dim * group_size * group_size, H, W), and boxes (R, 5), rows of image, left, top, right
    and bottom. Tops: (R, output_dim, group_size, group_size). Trained blobs: none.

    Source: ``src/caffe/layers/psroi_pooling_layer.cu`` of github.com/daijifeng001/caffe-rfcn.
    """

    spatial_scale: float
    output_dim: int
    group_size: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``psroi_pooling_param``."""
        p = proto.message.psroi_pooling_param
        for field in ("spatial_scale", "output_dim", "group_size"):
            if not p.HasField(field):
                raise LayerError(f"psroi_pooling_param.{field} is required")
        check_finite("psroi_pooling_param.spatial_scale", [p.spatial_scale])
        for field in ("output_dim", "group_size"):
            if getattr(p, field) < 1:
                raise LayerError(f"psroi_pooling_param.{field} must be 1 or more, not {getattr(p, field)}")
        return cls(spatial_scale=p.spatial_scale, output_dim=p.output_dim, group_size=p.group_size)

    def grid(self, channels: int | None) -> Shape:
        """Give `output_dim` channels after checking those of the features."""
        wanted = self.output_dim * self.group_size**2
        if channels not in (wanted, None):
            raise LayerError(
                f"the first bottom must have output_dim * group_size * group_size = {wanted} channels, not {channels}"
            )
        return self.output_dim, self.group_size, self.group_size

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras does not pool over boxes."""
        return runtime("PSROIPooling", short(self.spatial_scale), self.output_dim, self.group_size)(*inputs)
