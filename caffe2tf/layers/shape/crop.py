"""Crop: a region of one blob, of the size of another blob."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, keras, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer, same_batch
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.regroup import axis_of

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Crop"]


@register("Crop")
@dataclass(frozen=True, slots=True, kw_only=True)
class Crop(Layer):
    """``y[..., i, ...] = x[..., i + offset, ...]`` along each axis from `axis` on, with the second bottom's extents.

    Only the shape of the second bottom matters. If all extents are known at conversion, the model does not read it.

    | parameter (``crop_param``) | default | meaning |
    |---|---|---|
    | axis | 2 | first axis that is cropped; may be negative |
    | offset | 0 | start of the region: one number for all cropped axes, or one for each of them |

    Bottoms: two; the second has at least as many axes as the first, and from `axis` on extents that lie inside the
    first. Tops: one, with the extents of the first bottom before `axis`, and of the second from `axis` on. Trained
    blobs: none.

    Source: ``src/caffe/layers/crop_layer.cpp``.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    axis: int
    offset: tuple[int, ...]

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``crop_param``."""
        p = proto.message.crop_param
        return cls(axis=p.axis, offset=tuple(p.offset))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the first bottom's extents before the axis, and the second bottom's from there on."""
        shape, like = inputs
        axis, offsets = self._offsets(shape)
        if len(like) < len(shape):
            raise LayerError(
                f"the second bottom ({format_shape(like)}) must have at least as many axes as the first "
                f"({format_shape(shape)})"
            )
        for i, (have, want, offset) in enumerate(zip(shape[axis:], like[axis:], offsets, strict=False), axis):
            if have is not None and want is not None and have - offset < want:
                raise LayerError(
                    f"the cropped region must lie inside the first bottom: along axis {i}, {want} values from offset "
                    f"{offset} on exceed its extent of {have}"
                )
        return ((*shape[:axis], *like[axis : len(shape)]),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless axis 0 is cropped."""
        axis, offsets = self._offsets(inputs[0])
        uncropped = axis > 0 or (offsets[0] == 0 and inputs[0][0] == inputs[1][0])
        return Batch.kept_if(uncropped and all(batched) and same_batch(inputs[0], *outputs))

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout; a flattened axis that is cropped must be in Caffe's order."""
        x, like = inputs
        cropped = self._cropped(x.shape, like.shape)
        layout = Layout.plain(2) if x.layout.blocks and 1 in cropped else x.layout
        return Arrangement(inputs=(layout, like.layout), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Cropping1D, 2D or 3D for spatial axes, else a runtime layer; nothing if nothing is cropped."""
        x, like = inputs
        offsets = self._cropped(x.shape, like.shape)
        if not offsets:
            return x
        extents = [(x.shape[a], like.shape[a]) for a in offsets]
        if any(d is None for pair in extents for d in pair):
            axes = sorted(offsets, key=x.layout.tensor_axis)
            at = tuple((x.layout.tensor_axis(a), like.layout.tensor_axis(a), offsets[a]) for a in axes)
            return runtime("CropLike", at)(x, like)
        margins = {
            x.layout.tensor_axis(a): (offset, (x.shape[a] or 0) - (like.shape[a] or 0) - offset)
            for a, offset in offsets.items()
        }
        inner = range(1, x.rank - 1)
        if 1 <= len(inner) <= 3 and set(margins) <= set(inner):
            sides = tuple(margins.get(a, (0, 0)) for a in inner)
            return keras(f"Cropping{len(inner)}D", sides[0] if len(inner) == 1 else sides)(x)
        return runtime("Crop", tuple(margins.get(a, (0, 0)) for a in range(x.rank)))(x)

    def _offsets(self, shape: Shape) -> tuple[int, tuple[int, ...]]:
        """Return the first cropped axis, and the offset along each axis from there on."""
        axis = axis_of(shape, self.axis, "crop_param.axis")
        count = len(shape) - axis
        if len(self.offset) > 1 and len(self.offset) != count:
            raise LayerError(
                f"crop_param.offset must be given once, or once for each of the {count} axes from axis {axis} on, "
                f"not {len(self.offset)} times"
            )
        return axis, self.offset if len(self.offset) > 1 else (self.offset or (0,)) * count

    def _cropped(self, shape: Shape, like: Shape) -> dict[int, int]:
        """Return the axes, in Caffe's order, along which values are or may be cropped, with the offset along each."""
        axis, offsets = self._offsets(shape)
        pairs = dict(enumerate(offsets, axis))
        return {a: o for a, o in pairs.items() if o or shape[a] is None or shape[a] != like[a]}
