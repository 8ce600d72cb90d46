"""ResizeBilinear and ResizeNearestNeighbor: images resized as TensorFlow 1 does (Synopsys)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Expr, keras, runtime, unless
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import LONGEST, Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.shape.split import forbid_in_place
from caffe2tf.layers.window import brief

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.parse import Parameters

__all__ = ["Resize", "ResizeBilinear", "ResizeNearestNeighbor", "Target"]

_SIDES = ("height", "width", "depth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The output extent of a spatial axis, as a number or a factor.

    Attributes:
        extent: the output extent; None if a factor is given.
        scale: the factor of the input extent; the product is rounded down.
    """

    extent: int | None = None
    scale: float = 1.0

    def of(self, before: int | None) -> int | None:
        """Return the output extent for an input extent; None if it is not known.

        Raises:
            LayerError: the output extent is greater than Caffe's blobs can have.
        """
        if self.extent is not None or before is None:
            return self.extent
        if before * self.scale > LONGEST:
            raise LayerError(f"{before} * {self.scale} is more than an extent can be ({LONGEST})")
        return int(np.floor(np.float32(before) * np.float32(self.scale)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize(Layer):
    """The common part of ResizeBilinear and ResizeNearestNeighbor.

    Class attributes:
        block: the parameter block.
        modes: parameters of which at most one may be true; each is a rule for the positions of output values.
        extra: parameters of the block that are not in caffe2tf's schema.

    Attributes:
        axes: the spatial axes, in Caffe's axes.
        targets: the output extent of each of them.
        mode: the one of `modes` that is true; empty if none is.
    """

    block: ClassVar[str]
    modes: ClassVar[tuple[str, ...]]
    extra: ClassVar[tuple[str, ...]]

    axes: tuple[int, ...]
    targets: tuple[Target, ...]
    mode: str = ""

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read the parameter block."""
        forbid_in_place(proto)
        p, more = getattr(proto.message, cls.block), proto.extra.block(cls.block).only(*cls.extra)
        modes = [name for name in cls.modes if more.boolean(name, default=getattr(p, name, False))]
        if len(modes) > 1:
            raise LayerError(
                f"at most one of {', '.join(cls.modes)} may be true in {cls.block}, not {' and '.join(modes)}"
            )
        axes = cls.spatial_axes(p.data_format)
        targets = tuple(cls._target(side, p, more) for side in _SIDES[: len(axes)])
        return cls(axes=axes, targets=targets, mode=modes[0] if modes else "")

    @classmethod
    def spatial_axes(cls, data_format: str) -> tuple[int, ...]:
        """Return the spatial axes for a `data_format`; any word other than NHWC means channels first."""
        return (1, 2) if data_format == "NHWC" else (2, 3)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the bottom with the new spatial extents."""
        shape = inputs[0]
        if len(shape) != len(self.axes) + 2:
            raise LayerError(
                f"the bottom must have {len(self.axes) + 2} axes, not {len(shape)} ({format_shape(shape)})"
            )
        if any(shape[a] is None for a in self.axes):
            raise LayerError(
                f"the spatial extents of the bottom ({format_shape(shape)}) must be known before the network runs"
            )
        top = list(shape)
        for axis, target in zip(self.axes, self.targets, strict=True):
            top[axis] = target.of(shape[axis])
            if not top[axis]:
                raise LayerError(f"nothing is left of axis {axis}: {shape[axis]} * {target.scale} is rounded down to 0")
        return (tuple(top),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Keep the layout of the bottom."""
        del outputs
        layout: Layout = inputs[0].layout
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit UpSampling2D if it computes the same, else a runtime layer, or nothing if no extent changes."""
        x, y = inputs[0], ctx.outputs[0]
        if x.shape == y.shape:
            return x
        sides = sorted((x.layout.tensor_axis(a), y.shape[a] or 0, x.shape[a] or 0) for a in self.axes)
        if [axis for axis, *_ in sides] == [1, 2]:
            factors = tuple(after // before for _, after, before in sides)
            sampled = self.upsampling(factors) if all(after % before == 0 for _, after, before in sides) else ""
            if sampled:
                return keras("UpSampling2D", brief(factors), interpolation=unless(sampled, "nearest"))(x)
        method = runtime(
            type(self).__name__.replace("Neighbor", ""),
            tuple((axis, after) for axis, after, _ in sides),
            mode=self.mode or OMIT,
        )
        return method(x)

    def upsampling(self, factors: tuple[int, ...]) -> str:
        """Return the `interpolation` with which UpSampling2D computes the same; empty if there is none.

        Args:
            factors: output extent divided by input extent, for height and width.
        """
        raise NotImplementedError

    @classmethod
    def _target(cls, side: str, p: Message, more: Parameters) -> Target:
        """Read the output extent of `side`, whose fields may be in the schema or outside it."""
        extent, scale = f"output_{side}", f"scale_{side}"
        if extent in more:
            return Target(extent=more.whole_number(extent, least=1))
        if hasattr(p, extent) and p.HasField(extent):
            if getattr(p, extent) < 1:
                raise LayerError(f"{cls.block}.{extent} must be 1 or more, not {getattr(p, extent)}")
            return Target(extent=getattr(p, extent))
        factor = more.number(scale, 1.0)
        if factor <= 0:
            raise LayerError(f"{cls.block}.{scale} must be greater than 0, not {factor}")
        return Target(scale=float(factor))


@register("ResizeBilinear")
@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeBilinear(Resize):
    """Images resized by linear interpolation between the two nearest values along each spatial axis.

    Along an axis of n input and m output values, output value i lies at input position ``i * s``, where ``s = n / m``.

    - `align_corners`: ``s = (n - 1) / (m - 1)`` if m is not 1.
    - `half_pixel_centers`: the position is ``(i + 0.5) * s - 0.5``.
    - `pytorch_half_pixel`: the position is ``(i + 0.5) * s - 0.5``, or 0 if m is 1.

    The layer must not work in place.

    | parameter (``resize_bilinear_param``) | default | meaning |
    |---|---|---|
    | output_height, output_width, output_depth | from the factor | output extent |
    | scale_height, scale_width, scale_depth | 1 | factor of the input extent; the product is rounded down |
    | data_format | NHWC | axes of the bottom: NHWC, NCHW, or NCHWD, the only one with a depth |
    | align_corners, half_pixel_centers, pytorch_half_pixel | false | at most one may be true |

    Bottoms: one, with the axes of `data_format`. Tops: one, with the same axes. Trained blobs: none.

    Deviations: quantized outputs (output_scale, output_zero_point, saturate) are not supported.

    Source: ``foss-for-synopsys-dwc-arc-processors/synopsys-caffe``, ``src/caffe/layers/resize_bilinear_layer.cpp``.
    """

    block: ClassVar[str] = "resize_bilinear_param"
    reads_unknown: ClassVar[tuple[str, ...]] = ("resize_bilinear_param",)
    modes: ClassVar[tuple[str, ...]] = ("align_corners", "half_pixel_centers", "pytorch_half_pixel")
    extra: ClassVar[tuple[str, ...]] = (
        *("scale_height", "scale_width", "scale_depth", "output_depth", "pytorch_half_pixel"),
        *("input_scale", "input_zero_point"),  # no effect
    )

    @classmethod
    def spatial_axes(cls, data_format: str) -> tuple[int, ...]:
        """Return the spatial axes for a `data_format`; any word other than NHWC and NCHW means three of them."""
        return (2, 3, 4) if data_format not in ("NHWC", "NCHW") else Resize.spatial_axes(data_format)

    def upsampling(self, factors: tuple[int, ...]) -> str:
        """Return "bilinear" for half-pixel centers, which Keras uses."""
        del factors
        return "bilinear" if self.mode in ("half_pixel_centers", "pytorch_half_pixel") else ""


@register("ResizeNearestNeighbor")
@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeNearestNeighbor(Resize):
    """Images resized by copying the value at a rounded position along each spatial axis.

    Along an axis of n input and m output values, output value i is input value ``floor(i * s)``, where ``s = n / m``.

    - `align_corners`: ``s = (n - 1) / (m - 1)`` if m is not 1, and the input value is ``floor(i * s + 0.5)``.
    - `half_pixel_centers`: the input value is ``floor((i + 0.5) * s)``.
    - `half_pixel_onnx`: the input value is ``floor((i + 0.5) * s - 0.5)``.

    Positions are computed in float32 and clipped to the image. The layer must not work in place.

    | parameter (``resize_nearest_neighbor_param``) | default | meaning |
    |---|---|---|
    | output_height, output_width | from the factor | output extent |
    | scale_height, scale_width | 1 | factor of the input extent; the product is rounded down |
    | data_format | NHWC | axes of the bottom: NHWC or NCHW |
    | align_corners, half_pixel_centers, half_pixel_onnx | false | at most one may be true |

    Bottoms: one, with the axes of `data_format`. Tops: one, with the same axes. Trained blobs: none.

    Source: ``foss-for-synopsys-dwc-arc-processors/synopsys-caffe``,
    ``src/caffe/layers/resize_nearest_neighbor_layer.cpp``.
    """

    block: ClassVar[str] = "resize_nearest_neighbor_param"
    reads_unknown: ClassVar[tuple[str, ...]] = ("resize_nearest_neighbor_param",)
    modes: ClassVar[tuple[str, ...]] = ("align_corners", "half_pixel_centers", "half_pixel_onnx")
    extra: ClassVar[tuple[str, ...]] = ("scale_height", "scale_width", "half_pixel_onnx")

    def upsampling(self, factors: tuple[int, ...]) -> str:
        """Return "nearest" if the factors are powers of 2: otherwise rounding in float32 may choose another value."""
        exact = all(f & (f - 1) == 0 for f in factors)
        return "nearest" if exact and self.mode in ("", "half_pixel_centers") else ""
