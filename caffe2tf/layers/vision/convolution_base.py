"""What convolutions and deconvolutions have in common: parameters, shapes of the trained blobs, order of the axes."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import OMIT, Construct, Expr, keras, runtime, unless
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import PER_BOTTOM, Arrangement, Batch, BlobSpec, Layer, PerBottom
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, canonical_axis, format_shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Array, Weight
from caffe2tf.layers.extents import known
from caffe2tf.layers.window import StatedWindow, Window, brief

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import ConvolutionParameter

__all__ = ["ConvolutionBase", "Geometry", "beside", "each", "per_side"]

_MOST_AXES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """A (de)convolution on an input of known rank: the channels' axis, their count, and the window."""

    axis: int
    channels: int
    window: Window

    @property
    def rank(self) -> int:
        """Count of spatial axes."""
        return len(self.window.kernel)

    @property
    def is_mixed(self) -> bool:
        """Whether there are both steps and gaps, which TensorFlow does not compute (and what it has no gaps of 0)."""
        stride, dilation = self.window.stride, self.window.dilation
        return 0 in dilation or (max(stride, default=1) > 1 and max(dilation, default=1) > 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvolutionBase(Layer):
    """A layer with ``convolution_param``; several bottoms share its trained blobs."""

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)
    tops: ClassVar[tuple[int, int | None] | PerBottom] = PER_BOTTOM

    num_output: int
    group: int
    bias: bool
    axis: int
    window: StatedWindow
    weight_filler: Filler
    bias_filler: Filler
    activation: str | None = None
    slope: float | None = None  # of negative values, where a ReLU with one is part of the layer

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters, of which the window waits for the rank of the input."""
        p = proto.message.convolution_param
        for name in ("num_output", "group"):
            if getattr(p, name) < 1:
                raise LayerError(f"convolution_param.{name} must be 1 or more, not {getattr(p, name)}")
        if p.num_output % p.group:
            raise LayerError(f"num_output ({p.num_output}) must be a multiple of group ({p.group})")
        slope = cls._relu(p)
        return cls(
            num_output=p.num_output,
            group=p.group,
            bias=p.bias_term,
            axis=p.axis,
            window=StatedWindow.read(p, sided=True),
            weight_filler=Filler.read(p.weight_filler, given=p.HasField("weight_filler")),
            bias_filler=Filler.read(p.bias_filler, given=p.HasField("bias_filler")),
            activation="relu" if slope == 0 else None,
            slope=slope or None,
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The window moves over the spatial axes of each bottom."""
        first = inputs[0]
        for shape in inputs[1:]:
            if not _may_be_equal(first, shape):
                raise LayerError(
                    f"all bottoms must have one shape: {format_shape(first)} and {format_shape(shape)} are given"
                )
        g = self._geometry(first)
        if g.channels % self.group:
            raise LayerError(f"the input's {g.channels} channels must be a multiple of group ({self.group})")
        outs = (self._extents(g.window, s[g.axis + 1 :]) for s in inputs)
        return tuple((*s[: g.axis], self.num_output, *out) for s, out in zip(inputs, outs, strict=True))

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Weight and bias."""
        shape = self._weight_shape(self._geometry(inputs[0]))
        weight = BlobSpec(name="weight", shape=shape, filler=self.weight_filler)
        bias = BlobSpec(name="bias", shape=(self.num_output,), filler=self.bias_filler)
        return (weight, bias) if self.bias else (weight,)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Unless axis 0 holds the channels."""
        del outputs
        return Batch.kept_if(all(batched) and self._axis(inputs[0]) > 0)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last."""
        axis = self._axis(inputs[0].shape)
        layout = Layout((*range(axis), *range(axis + 1, inputs[0].rank), axis))
        return Arrangement(inputs=(layout,) * len(inputs), outputs=(layout,) * len(outputs))

    def with_activation(self, name: str) -> Self | None:
        """Keras' layers take any activation, and so do ours, but one alone."""
        return None if self.activation or self.slope else replace(self, activation=name)

    def multiply_adds(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """One for each weight at each place of the window."""
        g = self._geometry(inputs[0])
        moved = self._moves_over(inputs[0], outputs[0])
        places = math.prod(d or 1 for d in (*moved[: g.axis], *moved[g.axis + 1 :]))
        return places * math.prod(self._weight_shape(g)) * len(inputs)

    @classmethod
    def _relu(cls, p: ConvolutionParameter) -> float | None:
        """The slope for negative values of the ReLU that is part of the layer; None where none is."""
        del p
        return None

    @abstractmethod
    def _weight_shape(self, g: Geometry) -> tuple[int, ...]:
        """Caffe's shape of the weight."""

    @abstractmethod
    def _extents(self, window: Window, spatial: Shape) -> Shape:
        """Output extents; raises LayerError where nothing comes out."""

    @abstractmethod
    def _moves_over(self, inputs: Shape, outputs: Shape) -> Shape:
        """Whichever of both has one value for each place of the window."""

    def _axis(self, shape: Shape) -> int:
        try:
            return canonical_axis(self.axis, len(shape))
        except ValueError as e:
            raise LayerError(f"convolution_param.axis: {e}") from None

    def _geometry(self, shape: Shape) -> Geometry:
        axis = self._axis(shape)
        (channels,) = known(shape[axis : axis + 1], "the channels of a convolution's input")
        spatial = len(shape) - axis - 1
        if spatial > _MOST_AXES:
            raise LayerUnsupportedError(f"the input has {spatial} spatial axes, TensorFlow takes {_MOST_AXES} at most")
        window = self.window.over(spatial).placed(shape[axis + 1 :])
        return Geometry(axis=axis, channels=channels, window=window)

    def _runtime(self, name: str, window: Window) -> Construct:
        """Our own layer: any rank, any mixture."""
        rank = len(window.kernel)
        return runtime(
            name,
            self.num_output,
            window.kernel,
            strides=unless(window.stride, (1,) * rank),
            padding=unless(window.pad, (0,) * rank),
            dilation_rate=unless(window.dilation, (1,) * rank),
            groups=unless(self.group, 1),
            activation=self.activation or OMIT,
            use_bias=OMIT if self.bias else False,
        )

    def _dense(self) -> Construct:
        """The layer without spatial axes and groups: a matrix product."""
        use_bias = OMIT if self.bias else False
        return keras("Dense", self.num_output, activation=self.activation or OMIT, use_bias=use_bias)

    def _as_weights(self, kernel: Array, blobs: Sequence[NodeBlob]) -> dict[str, Weight]:
        """The kernel, a view of the first blob, and the bias."""
        weights = {"kernel": blobs[0].weight(kernel)}
        if self.bias:
            weights["bias"] = blobs[1].weight(shape=(self.num_output,))
        return weights


def beside(name: str, g: Geometry, counts: Sequence[tuple[int, int]], *, role: str = "") -> Construct:
    """`per_side` for a layer of our own, which pads or crops both sides of an axis alike."""
    if g.axis != 1:
        raise LayerUnsupportedError(
            f"padding that differs from side to side is converted for channels on axis 1 alone, not axis {g.axis}"
        )
    return per_side(name, counts, role=role)


def each(x: Sequence[Expr]) -> Expr | tuple[Expr, ...]:
    """One expression for each top, as `Layer.emit` gives them."""
    return x[0] if len(x) == 1 else tuple(x)


def per_side(name: str, counts: Sequence[tuple[int, int]], *, role: str = "") -> Construct:
    """Keras' ZeroPadding or Cropping with counts before and after each spatial axis of a channels-last tensor."""
    if all(before == after for before, after in counts):
        return keras(f"{name}{len(counts)}D", brief([before for before, _ in counts]), role=role)
    return keras(f"{name}{len(counts)}D", counts[0] if len(counts) == 1 else tuple(counts), role=role)


def _may_be_equal(a: Shape, b: Shape) -> bool:
    return len(a) == len(b) and all(m == n or m is None or n is None for m, n in zip(a, b, strict=True))
