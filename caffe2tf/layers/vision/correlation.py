"""Correlation and Correlation1D: similarity of two feature maps for each displacement (FlowNet, DispNet)."""

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
    """The common part of Correlation and Correlation1D.

    Attributes:
        kernel_size: height and width of a patch.
        max_displacement: the largest displacement along an axis.
        pad: zeros around both bottoms.
        stride_1: distance between adjacent positions of the output.
        stride_2: distance between adjacent displacements.
        subtract: whether absolute differences are averaged instead of products.
        do_abs: the parameter of this name, which has no effect.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    kernel_size: int
    max_displacement: int
    pad: int
    stride_1: int
    stride_2: int
    subtract: bool
    do_abs: bool

    def positions(self, extent: int, *, displaced: bool) -> int:
        """Return the number of output positions along an axis.

        Args:
            extent: the extent of the bottoms.
            displaced: whether there are displacements, and padding, along the axis.

        Raises:
            LayerError: no patch fits.
        """
        margin = self.max_displacement if displaced else 0
        room = extent + (2 * self.pad if displaced else 0) - 2 * margin - self.kernel_size + 1
        if room < 1:
            raise LayerError(
                f"the displaced patches must fit into the padded bottoms: an extent of {extent} with pad {self.pad} is "
                f"too small for max_displacement {self.max_displacement} and kernel_size {self.kernel_size}; raise pad"
            )
        return -(-room // self.stride_1)

    def remarks(self) -> tuple[str, ...]:
        """Return a note if `do_abs` is set: FlowNet's code ignores it."""
        return ("correlation_param.do_abs has no effect, as in FlowNet's own code",) if self.do_abs else ()

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC for both bottoms and the top."""
        layout = Layout.channels_last(4)
        return Arrangement(inputs=(layout, layout), outputs=(layout,))

    def construct(self, direction: Literal = OMIT) -> Construct:
        """Return the runtime layer.

        Args:
            direction: `single_direction`, which only Correlation1D has.
        """
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
        """Count one operation for each value of a patch, for each output value."""
        sizes = known(outputs[0], "the extents of a Correlation's top")
        values = self.kernel_size**2 * (inputs[0][1] or 0)
        return sizes[0] * sizes[1] * sizes[2] * sizes[3] * values


@register("Correlation")
@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation(_Correlating):
    """``y[d, p] = mean(a[p] * b[p + d])``, where a[p] is the patch of the first bottom at p, b[p] of the second.

    A patch is `kernel_size` x `kernel_size` positions of all channels. The displacements d are ``-r ... r`` times
    `stride_2` along both axes, where ``r = max_displacement // stride_2``. Each displacement is a channel of the
    output, in row-major order. Output extents are
    ``ceil((n + 2 * pad - 2 * max_displacement - kernel_size + 1) / stride_1)``.

    | parameter (``correlation_param``) | default | meaning |
    |---|---|---|
    | kernel_size | required | height and width of a patch; odd |
    | max_displacement | required | limit of the displacement along each axis |
    | pad | 0 | zeros around both bottoms |
    | stride_1 | 1 | distance between adjacent positions p |
    | stride_2 | 1 | distance between adjacent displacements |
    | correlation_type | MULTIPLY | SUBTRACT: the mean of ``abs(a[p] - b[p + d])`` |
    | do_abs | false | no effect, as in FlowNet's code |
    | single_direction | 0 | no effect; a parameter of Correlation1D |

    Bottoms: two of the same shape, (N, C, H, W). Tops: one, (N, (2 * r + 1) ** 2, H', W'). Trained blobs: none.

    Source: ``lmb-freiburg/flownet2``, ``src/caffe/layers/correlation_layer.cu``.
    """

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``correlation_param``."""
        return cls(**_fields(proto.message.correlation_param))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the top, which has a channel for each displacement along both axes."""
        batch, height, width = _agreed(inputs)
        reach = 2 * (self.max_displacement // self.stride_2) + 1
        return ((batch, reach**2, self.positions(height, displaced=True), self.positions(width, displaced=True)),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no such layer."""
        del ctx
        return self.construct()(*inputs)


@register("Correlation1D")
@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation1D(_Correlating):
    """``y[d, p] = mean(a[p] * b[p + d])`` as in Correlation, for displacements d along the width only.

    Padding is also added along the width only. With ``r = max_displacement // stride_2``, the displacements are, times
    `stride_2`:

    - `single_direction` 0: ``-r ... r``
    - `single_direction` -1: ``-(r + 1) ... -1``
    - `single_direction` 1: ``0 ... r``

    The output width is ``ceil((W + 2 * pad - 2 * max_displacement - kernel_size + 1) / stride_1)``, the output height
    ``ceil((H - kernel_size + 1) / stride_1)``.

    | parameter (``correlation_param``) | default | meaning |
    |---|---|---|
    | kernel_size | required | height and width of a patch; odd |
    | max_displacement | required | limit of the displacement; with `single_direction` -1 one step more is possible |
    | pad | 0 | zeros at the left and right of both bottoms |
    | stride_1 | 1 | distance between adjacent positions p |
    | stride_2 | 1 | distance between adjacent displacements |
    | single_direction | 0 | -1: displacements to the left only; 1: to the right only, and none |
    | correlation_type | MULTIPLY | SUBTRACT: the mean of ``abs(a[p] - b[p + d])`` |
    | do_abs | false | no effect, as in DispNet's code |

    Bottoms: two of the same shape, (N, C, H, W). Tops: one, (N, displacements, H', W'). Trained blobs: none.

    Deviations: with `single_direction` -1 the last displacement may reach one step beyond the padded bottom. It reads
    zeros here. DispNet's code reads the end of the row above, which is zero if `pad` is at least that step, and memory
    in front of the blob for the first row.

    Source: ``lmb-freiburg/flownet2``, ``src/caffe/layers/correlation_layer1d.cu``.
    """

    single_direction: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``correlation_param``."""
        p = proto.message.correlation_param
        if p.single_direction not in (-1, 0, 1):
            raise LayerError(
                f"correlation_param.single_direction must be -1 (left), 0 (both) or 1 (right), not {p.single_direction}"
            )
        return cls(**_fields(p), single_direction=p.single_direction)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the top, which has a channel for each displacement along the width."""
        batch, height, width = _agreed(inputs)
        steps = self.max_displacement // self.stride_2
        count = steps + 1 if self.single_direction else 2 * steps + 1
        return ((batch, count, self.positions(height, displaced=False), self.positions(width, displaced=True)),)

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras has no such layer."""
        del ctx
        return self.construct(unless(self.single_direction, 0))(*inputs)


def _fields(p: CorrelationParameter) -> _Fields:
    """Read the parameters that both layers have.

    Raises:
        LayerError: a parameter breaks a rule.
    """
    for name in ("kernel_size", "max_displacement"):
        if not p.HasField(name):
            raise LayerError(f"correlation_param.{name} is required")
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
    """Return batch size, height and width of both bottoms.

    Raises:
        LayerError: the bottoms do not have 4 axes, or their shapes differ.
    """
    first, second = shapes
    if len(first) != 4 or len(second) != 4:
        raise LayerError(
            f"a correlation takes bottoms of 4 axes (N, C, H, W), not {format_shape(first)} and {format_shape(second)}"
        )
    _, *extents = first
    _, height, width = known(tuple(extents), "channels, height and width of a correlation's bottoms")
    if any(a is not None and b is not None and a != b for a, b in zip(first, second, strict=True)):
        raise LayerError(
            "both bottoms must have the same shape: "
            f"the first is {format_shape(first)}, the second {format_shape(second)}"
        )
    return first[0], height, width
