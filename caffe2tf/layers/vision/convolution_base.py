"""The common part of convolutions and deconvolutions: parameters, trained blobs, layouts."""

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
from caffe2tf.layers.checks import check_count
from caffe2tf.layers.extents import known
from caffe2tf.layers.window import StatedWindow, Window, brief

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import ConvolutionParameter

__all__ = ["ConvolutionBase", "Geometry", "around_runtime", "each", "per_side"]

_MOST_AXES = 6  # spatial axes; TensorFlow slices tensors of 8 axes at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """A convolution or deconvolution on an input of known rank.

    Attributes:
        axis: the channel axis.
        channels: the number of input channels.
        window: the window, with one number for each spatial axis.
    """

    axis: int
    channels: int
    window: Window

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.window.kernel)

    @property
    def is_mixed(self) -> bool:
        """Whether there are strides as well as dilation, or a dilation of 0; TensorFlow supports neither."""
        stride, dilation = self.window.stride, self.window.dilation
        return 0 in dilation or (max(stride, default=1) > 1 and max(dilation, default=1) > 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvolutionBase(Layer):
    """A layer with ``convolution_param`` whose bottoms share its trained blobs.

    Attributes:
        num_output: output channels.
        group: number of groups.
        bias: whether there is a bias.
        axis: the channel axis as given; it may be negative.
        window: the window as given, before the number of spatial axes is known.
        weight_filler: initial values of the weight.
        bias_filler: initial values of the bias.
        activation: Keras' name of an activation that the layer applies to its output; None if there is none.
        slope: slope for negative values of a ReLU that is part of the layer; None if there is none, or it is 0.
    """

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
    slope: float | None = None

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``convolution_param``; the window is checked once the rank of the input is known."""
        p = proto.message.convolution_param
        for name in ("num_output", "group"):
            check_count(f"convolution_param.{name}", getattr(p, name), given=p.HasField(name))
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
        """Return the shape of each top, from the windows along the spatial axes of its bottom."""
        first = inputs[0]
        for shape in inputs[1:]:
            if not _may_be_equal(first, shape):
                raise LayerError(
                    f"all bottoms must have the same shape, not {format_shape(first)} and {format_shape(shape)}"
                )
        g = self._geometry(first)
        if g.channels % self.group:
            raise LayerError(f"the input's {g.channels} channels must be a multiple of group ({self.group})")
        outs = (self._extents(g.window, s[g.axis + 1 :]) for s in inputs)
        return tuple((*s[: g.axis], self.num_output, *out) for s, out in zip(inputs, outs, strict=True))

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return the weight, and the bias if there is one."""
        shape = self._weight_shape(self._geometry(inputs[0]))
        weight = BlobSpec(name="weight", shape=shape, filler=self.weight_filler)
        bias = BlobSpec(name="bias", shape=(self.num_output,), filler=self.bias_filler)
        return (weight, bias) if self.bias else (weight,)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch unless axis 0 holds the channels."""
        del outputs
        return Batch.kept_if(all(batched) and self._axis(inputs[0]) > 0)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use channels last, after the batch axes and the spatial axes."""
        axis = self._axis(inputs[0].shape)
        layout = Layout((*range(axis), *range(axis + 1, inputs[0].rank), axis))
        return Arrangement(inputs=(layout,) * len(inputs), outputs=(layout,) * len(outputs))

    def with_activation(self, name: str) -> Self | None:
        """Return the layer with the activation, unless it has one already."""
        return None if self.activation or self.slope else replace(self, activation=name)

    def multiply_adds(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """Count one operation for each weight and each position of the window."""
        g = self._geometry(inputs[0])
        moved = self._moves_over(inputs[0], outputs[0])
        places = math.prod(d or 1 for d in (*moved[: g.axis], *moved[g.axis + 1 :]))
        return places * math.prod(self._weight_shape(g)) * len(inputs)

    @classmethod
    def _relu(cls, p: ConvolutionParameter) -> float | None:
        """Return the slope for negative values of a ReLU that is part of the layer; None if there is none."""
        del p
        return None

    @abstractmethod
    def _weight_shape(self, g: Geometry) -> tuple[int, ...]:
        """Return Caffe's shape of the weight."""

    @abstractmethod
    def _extents(self, window: Window, spatial: Shape) -> Shape:
        """Return the output extents.

        Raises:
            LayerError: an extent is 0 or less.
        """

    @abstractmethod
    def _moves_over(self, inputs: Shape, outputs: Shape) -> Shape:
        """Return the shape that has one value for each position of the window: that of the input or of the output."""

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
            raise LayerUnsupportedError(
                f"{spatial} spatial axes are not supported: TensorFlow takes {_MOST_AXES} at most"
            )
        window = self.window.over(spatial).placed(shape[axis + 1 :])
        return Geometry(axis=axis, channels=channels, window=window)

    def _runtime(self, name: str, window: Window) -> Construct:
        """Return a runtime layer: it takes any rank, groups, and strides as well as dilation."""
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
        """Return Keras' Dense, for a layer without spatial axes and groups."""
        use_bias = OMIT if self.bias else False
        return keras("Dense", self.num_output, activation=self.activation or OMIT, use_bias=use_bias)

    def _as_weights(self, kernel: Array, blobs: Sequence[NodeBlob]) -> dict[str, Weight]:
        """Return the weights by name: the kernel, a view of the first blob, and the bias."""
        weights = {"kernel": blobs[0].weight(kernel)}
        if self.bias:
            weights["bias"] = blobs[1].weight(shape=(self.num_output,))
        return weights


def around_runtime(name: str, g: Geometry, counts: Sequence[tuple[int, int]], *, role: str = "") -> Construct:
    """Return `per_side` before or after a runtime layer, which itself pads or crops both sides of an axis equally.

    Raises:
        LayerUnsupportedError: the channel axis is not axis 1.
    """
    if g.axis != 1:
        raise LayerUnsupportedError(
            f"padding that differs between the sides is supported only if the channel axis is 1, not {g.axis}"
        )
    return per_side(name, counts, role=role)


def each(x: Sequence[Expr]) -> Expr | tuple[Expr, ...]:
    """Return the expressions of all tops in the form that `Layer.emit` returns."""
    return x[0] if len(x) == 1 else tuple(x)


def per_side(name: str, counts: Sequence[tuple[int, int]], *, role: str = "") -> Construct:
    """Return Keras' ZeroPadding or Cropping for a channels-last tensor.

    Args:
        name: ``ZeroPadding`` or ``Cropping``.
        counts: values added or removed (before, after) each spatial axis.
        role: distinguishes the Keras layers of one Caffe layer.
    """
    if all(before == after for before, after in counts):
        return keras(f"{name}{len(counts)}D", brief([before for before, _ in counts]), role=role)
    return keras(f"{name}{len(counts)}D", counts[0] if len(counts) == 1 else tuple(counts), role=role)


def _may_be_equal(a: Shape, b: Shape) -> bool:
    return len(a) == len(b) and all(m == n or m is None or n is None for m, n in zip(a, b, strict=True))
