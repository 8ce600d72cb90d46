"""ResizeBilinear and ResizeNearestNeighbor: images of another size, as TensorFlow 1 resized them."""

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
    """How long a side becomes.

    Attributes:
        extent: the length itself; None where a factor is given.
        scale: what the length is multiplied by, and rounded down.
    """

    extent: int | None = None
    scale: float = 1.0

    def of(self, before: int | None) -> int | None:
        """The length of a side that was ``before`` long.

        Raises:
            LayerError: it is longer than Caffe's blobs can be.
        """
        if self.extent is not None or before is None:
            return self.extent
        if before * self.scale > LONGEST:
            raise LayerError(f"{before} times {self.scale} is more than an extent can be ({LONGEST})")
        return int(np.floor(np.float32(before) * np.float32(self.scale)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize(Layer):
    """What the two have in common.

    Class attributes:
        block: the parameter block.
        modes: the parameters of which at most one may be true, each a way to number the places between values.
        extra: its parameters that the schema lacks.
    """

    block: ClassVar[str]
    modes: ClassVar[tuple[str, ...]]
    extra: ClassVar[tuple[str, ...]]

    axes: tuple[int, ...]
    targets: tuple[Target, ...]
    mode: str = ""

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Sides, axes and mode."""
        forbid_in_place(proto)
        p, more = getattr(proto.message, cls.block), proto.extra.block(cls.block).only(*cls.extra)
        modes = [name for name in cls.modes if more.boolean(name, default=getattr(p, name, False))]
        if len(modes) > 1:
            raise LayerError(f"of {cls.block} at most one of {', '.join(cls.modes)} may be true: {' and '.join(modes)}")
        axes = cls.spatial_axes(p.data_format)
        targets = tuple(cls._target(side, p, more) for side in _SIDES[: len(axes)])
        return cls(axes=axes, targets=targets, mode=modes[0] if modes else "")

    @classmethod
    def spatial_axes(cls, data_format: str) -> tuple[int, ...]:
        """Caffe's axes of the sides; any word but NHWC means channels first."""
        return (1, 2) if data_format == "NHWC" else (2, 3)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The new sides."""
        shape = inputs[0]
        if len(shape) != len(self.axes) + 2:
            raise LayerError(
                f"the bottom must have {len(self.axes) + 2} axes, not {len(shape)} ({format_shape(shape)})"
            )
        if any(shape[a] is None for a in self.axes):
            raise LayerError(f"the sides of the bottom ({format_shape(shape)}) must be known before the network runs")
        top = list(shape)
        for axis, target in zip(self.axes, self.targets, strict=True):
            top[axis] = target.of(shape[axis])
            if not top[axis]:
                raise LayerError(f"nothing is left of axis {axis}: {shape[axis]} times {target.scale}, rounded down")
        return (tuple(top),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Any order of the axes."""
        del outputs
        layout: Layout = inputs[0].layout
        return Arrangement(inputs=(layout,), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """UpSampling2D where it is the same; else a layer of our own; nothing where no side changes."""
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
        """The argument ``interpolation`` with which UpSampling2D by ``factors`` computes the same; "" for none."""
        raise NotImplementedError

    @classmethod
    def _target(cls, side: str, p: Message, more: Parameters) -> Target:
        """What becomes of a side, by what the schema knows or does not know."""
        extent, scale = f"output_{side}", f"scale_{side}"
        if extent in more:
            return Target(extent=more.whole_number(extent, least=1))
        if hasattr(p, extent) and p.HasField(extent):
            if getattr(p, extent) < 1:
                raise LayerError(f"{cls.block}.{extent} must be 1 or more, not {getattr(p, extent)}")
            return Target(extent=getattr(p, extent))
        factor = more.number(scale, 1.0)
        if factor <= 0:
            raise LayerError(f"{cls.block}.{scale} must be above 0, not {factor}")
        return Target(scale=float(factor))


@register("ResizeBilinear")
@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeBilinear(Resize):
    """An image of another size, whose values are interpolated between the two nearest along each side; of Synopsys.

    Value i of a side stands at ``s i`` of the bottom's, ``s`` being the bottom's length over the top's; with
    `align_corners` ``s`` is the quotient of the lengths less 1, where the top's is not 1; with `half_pixel_centers`
    and `pytorch_half_pixel` it stands at ``s (i + 0.5) - 0.5``, or with the latter at 0 where the top's length is 1.

    | parameter | default | meaning |
    |---|---|---|
    | output_height, output_width, output_depth | by the factor | length of a side |
    | scale_height, scale_width, scale_depth | 1 | factor of a side, the product rounded down |
    | data_format | NHWC | the bottom's axes: NHWC, NCHW, or NCHWD, which alone has a depth |
    | align_corners, half_pixel_centers, pytorch_half_pixel | false | at most one of them |

    Quantised outputs (output_scale, output_zero_point, saturate) are not supported. Not computed in place.
    """

    block: ClassVar[str] = "resize_bilinear_param"
    reads_unknown: ClassVar[tuple[str, ...]] = ("resize_bilinear_param",)
    modes: ClassVar[tuple[str, ...]] = ("align_corners", "half_pixel_centers", "pytorch_half_pixel")
    extra: ClassVar[tuple[str, ...]] = (
        *("scale_height", "scale_width", "scale_depth", "output_depth", "pytorch_half_pixel"),
        *("input_scale", "input_zero_point"),  # read by nothing
    )

    @classmethod
    def spatial_axes(cls, data_format: str) -> tuple[int, ...]:
        """Caffe's axes of the sides; any word but NHWC and NCHW means three sides."""
        return (2, 3, 4) if data_format not in ("NHWC", "NCHW") else Resize.spatial_axes(data_format)

    def upsampling(self, factors: tuple[int, ...]) -> str:
        """Keras has half_pixel_centers."""
        del factors
        return "bilinear" if self.mode in ("half_pixel_centers", "pytorch_half_pixel") else ""


@register("ResizeNearestNeighbor")
@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeNearestNeighbor(Resize):
    """An image of another size, made of the bottom's values; of Synopsys' Caffe.

    Value i of a side is the bottom's value ``s i``, rounded down, ``s`` being the bottom's length over the top's; with
    `align_corners` ``s`` is the quotient of the lengths less 1, where the top's is not 1, and ``s i`` is rounded to the
    nearest; with `half_pixel_centers` it is ``s (i + 0.5)``, with `half_pixel_onnx` ``s (i + 0.5) - 0.5``, rounded
    down. All that in float32, and within the bottom.

    | parameter | default | meaning |
    |---|---|---|
    | output_height, output_width | by the factor | length of a side |
    | scale_height, scale_width | 1 | factor of a side, the product rounded down |
    | data_format | NHWC | the bottom's axes: NHWC or NCHW |
    | align_corners, half_pixel_centers, half_pixel_onnx | false | at most one of them |

    Not computed in place.
    """

    block: ClassVar[str] = "resize_nearest_neighbor_param"
    reads_unknown: ClassVar[tuple[str, ...]] = ("resize_nearest_neighbor_param",)
    modes: ClassVar[tuple[str, ...]] = ("align_corners", "half_pixel_centers", "half_pixel_onnx")
    extra: ClassVar[tuple[str, ...]] = ("scale_height", "scale_width", "half_pixel_onnx")

    def upsampling(self, factors: tuple[int, ...]) -> str:
        """Equal in exact arithmetic; in float32 where the factors are powers of 2, for then nothing is rounded."""
        exact = all(f & (f - 1) == 0 for f in factors)
        return "nearest" if exact and self.mode in ("", "half_pixel_centers") else ""
