"""Local: a convolution with weights of their own for each place of its output."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import OMIT, Expr, runtime, unless
from caffe2tf.ir.filler import Filler
from caffe2tf.ir.layer import Arrangement, BlobSpec, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import NodeBlob, Value
from caffe2tf.ir.weight import Weight
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register
from caffe2tf.layers.shape.split import forbid_in_place
from caffe2tf.layers.window import StatedWindow, Window

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.parse import Parameters
    from caffe2tf.proto.caffe_pb2 import ConvolutionParameter

    M = TypeVar("M", bound=Message)

__all__ = ["Local"]

_BLOCKS = ("local_param", "local_convolution_param", "local_weighted_convolution_param")


@register("Local", "LocalConvolution", "LocalWeightedConvolution")
@dataclass(frozen=True, slots=True, kw_only=True)
class Local(Layer):
    """Weighted sum over sliding windows, whose weights differ from place to place; of forks.

    ``y[n, o, p] = b[o, p] + sum over c in the group of o, k of w[o, c, k, p] * x[n, c, p * stride + k * dilation -
    pad]``; outside the input x is 0.

    | parameter | default | meaning |
    |---|---|---|
    | num_output | required | output channels |
    | kernel_size, or kernel_h and kernel_w | required | window |
    | stride, or stride_h and stride_w | 1 | |
    | pad, or pad_h and pad_w | 0 | zeros on both sides |
    | dilation | 1 | distance between the window's values |
    | group | 1 | groups of channels that see each other; of `local_param` alone |
    | bias_term | true | |
    | weight_filler, bias_filler | constant 0 | what fills a blob that was not trained |

    They stand in `local_param`, `local_convolution_param` or `local_weighted_convolution_param`, or in
    `convolution_param`, after the fork.

    Trained blobs: weight (num_output, 1, channels / group * window, places) or (num_output, channels / group, window,
    places), all values of it in the order o, c, k, p; bias (1, 1, num_output, places), or one value for each channel:
    (1, 1, 1, num_output) or (num_output). The bottom has four axes. Not computed in place.
    """

    reads_unknown: ClassVar[tuple[str, ...]] = (*_BLOCKS, "convolution_param")

    num_output: int
    group: int
    bias: bool
    window: StatedWindow
    weight_filler: Filler
    bias_filler: Filler
    stored: tuple[tuple[int, ...], ...] = ()
    activation: str | None = None

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters, in whichever block."""
        forbid_in_place(proto)
        block, p = _parameters(proto)
        for name in ("num_output", "group"):
            if getattr(p, name) < 1:
                raise LayerError(f"{block}.{name} must be 1 or more, not {getattr(p, name)}")
        if p.num_output % p.group:
            raise LayerError(f"num_output ({p.num_output}) must be a multiple of group ({p.group})")
        if p.group > 1 and block != "local_param":
            raise LayerUnsupportedError(f"groups are converted in local_param alone, not in {block}")
        if p.axis != 1:
            raise LayerUnsupportedError(f"{block}.axis must be 1, not {p.axis}")
        return cls(
            num_output=p.num_output,
            group=p.group,
            bias=p.bias_term,
            window=StatedWindow.read(p),
            weight_filler=Filler.read(p.weight_filler, given=p.HasField("weight_filler")),
            bias_filler=Filler.read(p.bias_filler, given=p.HasField("bias_filler")),
        )

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The window moves over height and width, which must be known: each place has weights of its own."""
        channels, places = self._geometry(inputs[0])
        if channels % self.group:
            raise LayerError(f"the input's {channels} channels must be a multiple of group ({self.group})")
        return ((inputs[0][0], self.num_output, *places),)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Weight and bias, in the shapes in which they are stored where those are a fork's."""
        weights, biases = self._forms(inputs[0])
        stored = [*self.stored, (), ()]
        weight = stored[0] if stored[0] in weights else weights[0]
        bias = stored[1] if stored[1] in biases else biases[0]
        specs = (
            BlobSpec(name="weight", shape=weight, filler=self.weight_filler),
            BlobSpec(name="bias", shape=bias, filler=self.bias_filler),
        )
        return specs if self.bias else specs[:1]

    def with_blobs(self, shapes: Sequence[tuple[int, ...]]) -> Self:
        """The layer with the forms that its fork gave them."""
        return replace(self, stored=tuple(shapes))

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last."""
        del inputs, outputs
        return Arrangement(inputs=(Layout.channels_last(4),), outputs=(Layout.channels_last(4),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own: Keras has none any more."""
        del ctx
        window = self._window
        local = runtime(
            "LocallyConnected",
            self.num_output,
            window.kernel,
            strides=unless(window.stride, (1, 1)),
            padding=unless(window.pad, (0, 0)),
            dilation_rate=unless(window.dilation, (1, 1)),
            groups=unless(self.group, 1),
            activation=self.activation or OMIT,
            use_bias=OMIT if self.bias else False,
            shared_bias=unless(self.bias and self._shares_bias(inputs[0].shape), False),  # noqa: FBT003 - the default
        )
        return local(inputs[0])

    def convert(self, blobs: Sequence[NodeBlob], ctx: Context) -> Mapping[str, Weight]:
        """(O, I, kernel, places) to (places, kernel, I, O)."""
        shape = ctx.inputs[0].shape
        channels, places = self._geometry(shape)
        split = (self.num_output, channels // self.group, *self._window.kernel, *places)
        weights = {"kernel": blobs[0].weight(blobs[0].array.reshape(split).transpose(4, 5, 2, 3, 1, 0))}
        if self.bias and self._shares_bias(shape):
            weights["bias"] = blobs[1].weight(shape=(self.num_output,))
        elif self.bias:
            weights["bias"] = blobs[1].weight(blobs[1].array.reshape(self.num_output, *places).transpose(1, 2, 0))
        return weights

    def with_activation(self, name: str) -> Self | None:
        """Our layer takes any activation, but one alone."""
        return None if self.activation else replace(self, activation=name)

    def multiply_adds(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """One for each weight, for each item of the batch."""
        del outputs
        return math.prod(self._forms(inputs[0])[0][0]) * (inputs[0][0] or 1)

    @property
    def _window(self) -> Window:
        return self.window.over(2)

    def _geometry(self, shape: Shape) -> tuple[int, tuple[int, int]]:
        """The input's channels, and the places down and across."""
        if len(shape) != 4:
            raise LayerError(f"the bottom must have 4 axes, not {len(shape)} ({format_shape(shape)})")
        channels, *spatial = known(shape[1:], "channels, height and width of what has weights for each place")
        window = self._window
        if any(n + 2 * p < e for n, p, e in zip(spatial, window.pad, window.extent, strict=True)):
            raise LayerError(
                f"the window ({format_shape(window.extent)}) is larger than the input ({format_shape(spatial)}) "
                f"with its padding ({format_shape(window.pad)})"
            )
        height, width = known(window.convolved(tuple(spatial)), "the places of a window")
        return channels, (height, width)

    def _forms(self, shape: Shape) -> tuple[Sequence[tuple[int, ...]], Sequence[tuple[int, ...]]]:
        """The shapes in which forks store the weight, and the bias."""
        channels, places = self._geometry(shape)
        each, count, values = channels // self.group, math.prod(places), math.prod(self._window.kernel)
        weights = (self.num_output, 1, each * values, count), (self.num_output, each, values, count)
        biases = (1, 1, self.num_output, count), (1, 1, 1, self.num_output), (self.num_output,)
        return weights[::-1] if self.group > 1 else weights, biases

    def _shares_bias(self, shape: Shape) -> bool:
        """Whether there is one value for each channel."""
        return len(self.stored) > 1 and self.stored[1] in self._forms(shape)[1][1:]


def _parameters(proto: LayerProto) -> tuple[str, ConvolutionParameter]:
    """The block that the definition has, with the fields of a convolution's."""
    given = [name for name in _BLOCKS if name in proto.extra]
    beside = proto.extra.block("convolution_param")
    plain = proto.message.HasField("convolution_param") or bool(beside)
    if len(given) + plain > 1:
        raise LayerError(f"give one of {', '.join(given)}{' and convolution_param' * plain} alone")
    if not given:
        beside.only("shared_bias")  # shows in the shape of the trained bias
        return "convolution_param", proto.message.convolution_param
    empty = type(proto.message.convolution_param)()
    return given[0], _filled(empty, proto.extra.block(given[0]), given[0])


def _filled(message: M, given: Parameters, path: str) -> M:
    """``message`` with the fields that are ``given``.

    Raises:
        LayerUnsupportedError: it has no such field.
        LayerError: a value is of another type than the field.
    """
    fields = message.DESCRIPTOR.fields_by_name
    for name in given.only(*fields):
        field = fields[name]
        values = given.all(name)
        try:
            if field.message_type is not None:
                _filled(getattr(message, name), given.block(name), f"{path}.{name}")
            elif hasattr(getattr(message, name), "extend"):
                getattr(message, name).extend(values)
            elif field.cpp_type == field.CPPTYPE_BOOL:
                setattr(message, name, given.boolean(name))
            else:
                (value,) = values
                named = field.enum_type.values_by_name[str(value)].number if field.enum_type is not None else value
                setattr(message, name, named)
        except (TypeError, ValueError, KeyError):
            shown = ", ".join(map(str, values))
            raise LayerError(f"{path}.{name} cannot be {shown}") from None
    return message
