"""Correlation and Correlation1D: how alike two feature maps are, for each displacement (FlowNet, DispNet)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self, TypedDict

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import OMIT, Construct, Expr, Literal, runtime, unless
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import CorrelationParameter

__all__ = ["Correlation", "Correlation1D"]


class _Fields(TypedDict):
    kernel_size: int
    max_displacement: int
    pad: int
    stride_1: int
    stride_2: int
    subtract: bool
    do_abs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Correlating(Layer):
    """What both have in common."""

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    kernel_size: int
    max_displacement: int
    pad: int
    stride_1: int
    stride_2: int
    subtract: bool
    do_abs: bool

    def places(self, extent: int, *, displaced: bool) -> int:
        """Places of patches along an axis; raises LayerError where not one fits."""
        margin = self.max_displacement if displaced else 0
        room = extent + (2 * self.pad if displaced else 0) - 2 * margin - self.kernel_size + 1
        if room < 1:
            raise LayerError(
                f"neighbourhood and kernel must fit into the padded bottoms: of an extent of {extent} with pad "
                f"{self.pad}, max_displacement {self.max_displacement} and kernel_size {self.kernel_size} leave "
                "nothing; raise pad"
            )
        return -(-room // self.stride_1)

    def remarks(self) -> tuple[str, ...]:
        """A parameter that FlowNet's code does not use."""
        return ("correlation_param.do_abs has no effect, as in FlowNet's own code",) if self.do_abs else ()

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last."""
        layout = Layout.channels_last(4)
        return Arrangement(inputs=(layout, layout), outputs=(layout,))

    def construct(self, direction: Literal = OMIT) -> Construct:
        """The runtime layer; only that of Correlation1D has a direction."""
        return runtime(
            type(self).__name__,
            self.kernel_size,
            self.max_displacement,
            pad=unless(self.pad, 0),
            stride_1=unless(self.stride_1, 1),
            stride_2=unless(self.stride_2, 1),
            single_direction=direction,
            correlation_type="SUBTRACT" if self.subtract else OMIT,
        )

    def multiply_adds(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """One for each value of a patch."""
        sizes = known(outputs[0], "the extents of a Correlation's top")
        values = self.kernel_size**2 * (inputs[0][1] or 0)
        return sizes[0] * sizes[1] * sizes[2] * sizes[3] * values


@register("Correlation")
@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation(_Correlating):
    """Of FlowNet: for each place of the first bottom, its patch times the patches around that place of the second.

    ``y[d, p] = mean(a[p] * b[p + d])`` over the kernel_size by kernel_size patch at p and all channels, for
    the displacements d of ``-r .. r`` times stride_2 along both axes, r being max_displacement / stride_2, rounded
    down: ``(2 r + 1) ** 2`` channels, row by row. Both bottoms have one shape.

    | parameter | default | meaning |
    |---|---|---|
    | kernel_size | required | height and width of a patch; odd |
    | max_displacement | required | no displacement along an axis is larger |
    | pad | 0 | zeros around both bottoms |
    | stride_1 | 1 | distance between the places of the first bottom |
    | stride_2 | 1 | distance between displacements |
    | correlation_type | MULTIPLY | SUBTRACT: the mean of ``abs(a[p] - b[p + d])`` |
    | do_abs | false | of no effect, in FlowNet's code, too |
    | single_direction | 0 | of no effect here: for Correlation1D |
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        return cls(**_fields(proto.message.correlation_param))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A channel for each displacement."""
        batch, height, width = _agreed(inputs)
        reach = 2 * (self.max_displacement // self.stride_2) + 1
        return ((batch, reach**2, self.places(height, displaced=True), self.places(width, displaced=True)),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A runtime layer."""
        del ctx
        return self.construct()(*inputs)


@register("Correlation1D")
@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation1D(_Correlating):
    """Of DispNet: as Correlation, with displacements along the width alone, and zeros only at the left and right.

    | parameter | default | meaning |
    |---|---|---|
    | kernel_size | required | height and width of a patch; odd |
    | max_displacement | required | no displacement is larger, but for single_direction -1 |
    | pad | 0 | zeros left and right of both bottoms |
    | stride_1 | 1 | distance between the places of the first bottom |
    | stride_2 | 1 | distance between displacements |
    | single_direction | 0 | displacements: 0: ``-r .. r``, -1: ``-(r + 1) .. -1``, 1: ``0 .. r``, each times stride_2 |
    | correlation_type | MULTIPLY | SUBTRACT: the mean of ``abs(a[p] - b[p + d])`` |
    | do_abs | false | of no effect, in DispNet's code, too |

    To the left, the last displacement may reach one step beyond the padded bottom. Here zeros are there; DispNet's code
    reads the end of the row above, which are zeros if pad is at least that large, and for the first row whatever lies
    in front of the blob.
    """

    single_direction: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters."""
        p = proto.message.correlation_param
        if p.single_direction not in (-1, 0, 1):
            raise LayerError(
                f"correlation_param.single_direction must be -1 (left), 0 (both) or 1 (right), not {p.single_direction}"
            )
        return cls(**_fields(p), single_direction=p.single_direction)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """A channel for each displacement."""
        batch, height, width = _agreed(inputs)
        steps = self.max_displacement // self.stride_2
        count = steps + 1 if self.single_direction else 2 * steps + 1
        return ((batch, count, self.places(height, displaced=False), self.places(width, displaced=True)),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A runtime layer."""
        del ctx
        return self.construct(unless(self.single_direction, 0))(*inputs)


def _fields(p: CorrelationParameter) -> _Fields:
    """The parameters of both; raises LayerError where a rule is broken."""
    for name in ("kernel_size", "max_displacement"):
        if not p.HasField(name):
            raise LayerError(f"correlation_param.{name} must be given")
    if p.kernel_size % 2 == 0:
        raise LayerError(f"correlation_param.kernel_size must be an odd number, not {p.kernel_size}")
    if not (p.stride_1 and p.stride_2):
        raise LayerError(
            f"correlation_param.stride_1 and stride_2 must be 1 or more, not {p.stride_1} and {p.stride_2}"
        )
    return _Fields(
        kernel_size=p.kernel_size,
        max_displacement=p.max_displacement,
        pad=p.pad,
        stride_1=p.stride_1,
        stride_2=p.stride_2,
        subtract=p.correlation_type == type(p).SUBTRACT,
        do_abs=p.do_abs,
    )


def _agreed(shapes: Sequence[Shape]) -> tuple[int | None, int, int]:
    """Batch, height and width of both bottoms; raises LayerError where they are no two images of one shape."""
    first, second = shapes
    if len(first) != 4 or len(second) != 4:
        raise LayerError(
            f"a correlation takes bottoms of 4 axes (N, C, H, W), not {format_shape(first)} and {format_shape(second)}"
        )
    _, *extents = first
    _, height, width = known(tuple(extents), "channels, height and width of a correlation's bottoms")
    if any(a is not None and b is not None and a != b for a, b in zip(first, second, strict=True)):
        raise LayerError(
            f"both bottoms must have one shape: the first is {format_shape(first)}, the second {format_shape(second)}"
        )
    return first[0], height, width
