"""Local: a convolution that has separate weights for each position of its output."""

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
from caffe2tf.layers.checks import check_count
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
    """Weighted sum over sliding windows, with separate weights for each position of the output.

    ``y[n, o, p] = b[o, p] + sum(w[o, c, k, p] * x[n, c, p * stride + k * dilation - pad])``, where the sum runs over
    the input channels c of o's group and the positions k of the window. Values outside the input count as 0. Output
    extents are those of Convolution. The layer must not work in place.

    The parameters are in ``local_param``, ``local_convolution_param``, ``local_weighted_convolution_param`` or
    ``convolution_param``, depending on the fork.

    | parameter | default | meaning |
    |---|---|---|
    | num_output | required | output channels |
    | kernel_size, or kernel_h and kernel_w | required | window |
    | stride, or stride_h and stride_w | 1 | distance between adjacent windows |
    | pad, or pad_h and pad_w | 0 | zeros before and after the input |
    | dilation | 1 | distance between adjacent values of a window |
    | group | 1 | number of groups, as in Convolution; in ``local_param`` only |
    | bias_term | true | whether there is a bias |
    | weight_filler, bias_filler | constant 0 | initial values of blobs that the weight file lacks |
    | axis | 1 | channel axis; no other is supported |

    Bottoms: one, (N, C, H, W). Tops: one, (N, num_output, H', W').

    Trained blobs: weight (num_output, 1, C / group * kernel_h * kernel_w, H' * W') or (num_output, C / group,
    kernel_h * kernel_w, H' * W'), whose values are in the order o, c, k, p; bias (1, 1, num_output, H' * W'), or one
    value for each channel, (1, 1, 1, num_output) or (num_output).

    Keras weights: kernel (H', W', kernel_h, kernel_w, C / group, num_output), bias (H', W', num_output) or
    (num_output).

    Source: forks, for example ``happynear/caffe-windows``, ``src/caffe/layers/local_layer.cpp``; for LocalConvolution
    ``ytoon/caffe``, ``src/caffe/layers/local_conv_layer.cpp``; for LocalWeightedConvolution ``zayd/caffe``,
    ``src/caffe/layers/local_weighted_conv_layer.cpp``.
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
        """Read the parameters from the block that the definition has."""
        forbid_in_place(proto)
        block, p = _parameters(proto)
        for name in ("num_output", "group"):
            check_count(f"{block}.{name}", getattr(p, name), given=p.HasField(name))
        if p.num_output % p.group:
            raise LayerError(f"num_output ({p.num_output}) must be a multiple of group ({p.group})")
        if p.group > 1 and block != "local_param":
            raise LayerUnsupportedError(f"group is supported in local_param only, not in {block}")
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
        """Return the shape of the top; height and width must be known, as each position has its own weights."""
        channels, places = self._geometry(inputs[0])
        if channels % self.group:
            raise LayerError(f"the input's {channels} channels must be a multiple of group ({self.group})")
        return ((inputs[0][0], self.num_output, *places),)

    def blobs(self, *inputs: Shape) -> tuple[BlobSpec, ...]:
        """Return weight and bias, in the shapes of the weight file if a fork stores them so."""
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
        """Remember the shapes of the trained blobs, which differ between forks."""
        return replace(self, stored=tuple(shapes))

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC."""
        del inputs, outputs
        return Arrangement(inputs=(Layout.channels_last(4),), outputs=(Layout.channels_last(4),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras 3 has no locally connected layer."""
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
        """Transpose (O, I, kernel, positions) to (positions, kernel, I, O)."""
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
        """Return the layer with the activation, unless it has one already."""
        return None if self.activation else replace(self, activation=name)

    def multiply_adds(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """Count one operation for each weight and each item of the batch."""
        del outputs
        return math.prod(self._forms(inputs[0])[0][0]) * (inputs[0][0] or 1)

    @property
    def _window(self) -> Window:
        return self.window.over(2)

    def _geometry(self, shape: Shape) -> tuple[int, tuple[int, int]]:
        """Return the input channels, and the height and width of the output."""
        if len(shape) != 4:
            raise LayerError(f"the bottom must have 4 axes, not {len(shape)} ({format_shape(shape)})")
        channels, *spatial = known(shape[1:], "channels, height and width of the input of a locally connected layer")
        window = self._window
        if any(n + 2 * p < e for n, p, e in zip(spatial, window.pad, window.extent, strict=True)):
            raise LayerError(
                f"the window ({format_shape(window.extent)}) is larger than the input ({format_shape(spatial)}) "
                f"with its padding ({format_shape(window.pad)})"
            )
        height, width = known(window.convolved(tuple(spatial)), "the output extents of a locally connected layer")
        return channels, (height, width)

    def _forms(self, shape: Shape) -> tuple[Sequence[tuple[int, ...]], Sequence[tuple[int, ...]]]:
        """Return the shapes in which forks store the weight, and those in which they store the bias."""
        channels, places = self._geometry(shape)
        each, count, values = channels // self.group, math.prod(places), math.prod(self._window.kernel)
        weights = (self.num_output, 1, each * values, count), (self.num_output, each, values, count)
        biases = (1, 1, self.num_output, count), (1, 1, 1, self.num_output), (self.num_output,)
        return weights[::-1] if self.group > 1 else weights, biases

    def _shares_bias(self, shape: Shape) -> bool:
        """Return whether the bias has one value for each channel."""
        return len(self.stored) > 1 and self.stored[1] in self._forms(shape)[1][1:]


def _parameters(proto: LayerProto) -> tuple[str, ConvolutionParameter]:
    """Return the name of the parameter block, and its fields as those of ``convolution_param``."""
    given = [name for name in _BLOCKS if name in proto.extra]
    extra = proto.extra.block("convolution_param")
    plain = proto.message.HasField("convolution_param") or bool(extra)
    if len(given) + plain > 1:
        raise LayerError(f"give only one of {', '.join(given)}{' and convolution_param' * plain}")
    if not given:
        extra.only("shared_bias")  # ignored: the shape of the trained bias shows it
        return "convolution_param", proto.message.convolution_param
    empty = type(proto.message.convolution_param)()
    return given[0], _filled(empty, proto.extra.block(given[0]), given[0])


def _filled(message: M, given: Parameters, path: str) -> M:
    """Set the fields of `message` that are `given`, and return it.

    Args:
        message: an empty message.
        given: fields by name.
        path: the name of the block, for messages.

    Raises:
        LayerUnsupportedError: the message has no such field.
        LayerError: a value is not of the field's type.
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
