"""Upsample and Unpooling: back to a larger size, by a mask of max pooling or by repeating values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import OMIT, Expr, keras, runtime, unless
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.vision.pooling import Pooling
from caffe2tf.layers.window import brief

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.proto.caffe_pb2 import UpsampleParameter

__all__ = ["Unpooling", "Upsample"]

Pair = tuple[int, int]


@register("Upsample")
@dataclass(frozen=True, slots=True, kw_only=True)
class Upsample(Layer):
    """With a mask (SegNet, ENet) each value at the place where it stood before max pooling; without, values repeated.

    The mask is the second top of a Pooling. It names places by their position ``row * width + column`` in a channel of
    the output; where none is named the output is 0, and of several values for one place the last stays. A place beyond
    the output stops the model, as it stops Caffe.

    With one bottom (the YOLO forks) each value fills a square of scale by scale places.

    | parameter | default | meaning |
    |---|---|---|
    | scale | 2; with one bottom 1 | output extents are ``n * scale`` |
    | scale_h, scale_w | scale | with a mask, likewise for each axis; in place of scale |
    | pad_out_h, pad_out_w | false | with a mask, one row or column less; for a scale of 2 |
    | upsample_h, upsample_w | none | with a mask, the output's extents; then the other parameters mean nothing |
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)

    masked: bool
    scale: Pair
    pad_out: Pair = (0, 0)
    size: Pair | None = None

    def remarks(self) -> tuple[str, ...]:
        """Which of the layers of this name it is."""
        whose = "two bottoms, as in SegNet: by a mask" if self.masked else "one bottom, as in YOLO: values repeated"
        return (f"this Upsample has {whose}",)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Parameters, whose meaning depends on whether there is a mask."""
        p = proto.message.upsample_param
        masked = len(proto.bottoms) > 1
        if masked:
            return cls(masked=True, **_masked(p))
        if foreign := [f for f, _ in p.ListFields() if f.name != "scale"]:
            raise LayerError(
                f"upsample_param.{foreign[0].name} is for an Upsample by a mask; "
                "add the mask, which is the second top of a max Pooling, as the second bottom"
            )
        scale = p.scale if p.HasField("scale") else 1
        if scale < 1:
            raise LayerError(f"upsample_param.scale must be 1 or more, not {scale}")
        return cls(masked=False, scale=(scale, scale))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The size given, or a multiple of the input's."""
        if self.masked:
            _check_mask(*inputs)
        elif len(inputs[0]) != 4:
            raise LayerError(f"Upsample takes an input of 4 axes (N, C, H, W), not {format_shape(inputs[0])}")
        if self.size is not None:
            return ((*inputs[0][:2], *self.size),)
        extents = zip(inputs[0][2:], self.scale, self.pad_out, strict=True)
        return ((*inputs[0][:2], *(None if n is None else n * s - p for n, s, p in extents)),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last."""
        del outputs
        return Arrangement(inputs=(Layout.channels_last(4),) * len(inputs), outputs=(Layout.channels_last(4),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Keras' UpSampling2D, or a layer of our own with a mask."""
        del ctx
        if self.masked:
            extra = (-self.pad_out[0], -self.pad_out[1])
            return _by_mask(inputs, self.size, factor=self.scale, extra=extra)
        return inputs[0] if self.scale == (1, 1) else keras("UpSampling2D", brief(self.scale))(inputs[0])


@register("Unpooling")
@dataclass(frozen=True, slots=True, kw_only=True)
class Unpooling(Layer):
    """Each value at the place where it stood before max pooling, which a mask names; 0 elsewhere.

    The mask is the second top of a Pooling, read as Upsample reads it. Output extents are
    ``(n - 1) * stride + kernel - 2 * pad``, with the parameters of ``pooling_param``.

    | parameter | default | meaning |
    |---|---|---|
    | pool | MAX | no other is implemented |
    | kernel_size, or kernel_h and kernel_w | required | the pooling's; not with global_pooling |
    | stride, or stride_h and stride_w | 1 | |
    | pad, or pad_h and pad_w | 0 | |
    | global_pooling | false | output extents are ``2 * n - 1`` |

    Forks have several layers of this name; this one has no parameters of its own, and its bottoms are values and mask.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    factor: Pair
    extra: Pair

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The parameters of the pooling that it undoes."""
        pooling = Pooling.read(proto)
        if pooling.method != "MAX" or pooling.same or pooling.after is not None:
            raise LayerUnsupportedError(
                "Unpooling is implemented for MAX pooling with equal padding on both sides alone"
            )
        if pooling.kernel is None:  # it is the input's size
            return cls(factor=(2, 2), extra=(-1, -1))
        windows = zip(pooling.kernel, pooling.stride, pooling.pad, strict=True)
        (down, below), (across, right) = ((s, k - s - 2 * p) for k, s, p in windows)
        return cls(factor=(down, across), extra=(below, right))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """What the pooling had for an input, if all its windows lay within."""
        _check_mask(*inputs)
        spatial = zip(inputs[0][2:], self.factor, self.extra, strict=True)
        return ((*inputs[0][:2], *(None if n is None else n * f + e for n, f, e in spatial)),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last."""
        del inputs, outputs
        return Arrangement(inputs=(Layout.channels_last(4),) * 2, outputs=(Layout.channels_last(4),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """The layer of our own that upsamples by a mask."""
        del ctx
        return _by_mask(inputs, None, factor=self.factor, extra=self.extra)


def _masked(p: UpsampleParameter) -> dict[str, Any]:
    """The attributes of an Upsample by a mask; raises LayerError for parameters that do not go together."""
    sized = p.HasField("upsample_h") and p.HasField("upsample_w")
    pair = p.HasField("scale_h") and p.HasField("scale_w") and not p.HasField("scale")
    if not (sized or pair or not (p.HasField("scale_h") or p.HasField("scale_w"))):
        raise LayerError("give Upsample both upsample_h and upsample_w, or scale alone, or both scale_h and scale_w")
    if sized:
        if min(p.upsample_h, p.upsample_w) < 2:
            raise LayerError(f"upsample_h and upsample_w must be 2 or more, not {p.upsample_h} and {p.upsample_w}")
        return {"scale": (1, 1), "size": (p.upsample_h, p.upsample_w)}
    scale = (p.scale_h, p.scale_w) if pair else (p.scale, p.scale)
    if min(scale) < 2:
        raise LayerError(f"Upsample's scale must be 2 or more along both axes, not {brief(scale)}")
    for axis, factor in zip("hw", scale, strict=True):
        if getattr(p, f"pad_out_{axis}") and factor != 2:
            raise LayerError(f"pad_out_{axis} is for a scale of 2, not {factor}; give upsample_h and upsample_w")
    return {"scale": scale, "pad_out": (int(p.pad_out_h), int(p.pad_out_w))}


def _check_mask(x: Shape, mask: Shape) -> None:
    """Raises LayerError where the bottoms are not values and a mask of the same four extents."""
    differs = len(x) != len(mask) or any(a != b and None not in (a, b) for a, b in zip(x, mask, strict=True))
    if len(x) != 4 or differs:
        raise LayerError(
            f"values and mask must have the same 4 axes (N, C, H, W), not {format_shape(x)} and {format_shape(mask)}; "
            "the mask is the second top of the Pooling"
        )


def _by_mask(inputs: Sequence[Value], size: Pair | None, *, factor: Pair, extra: Pair) -> Expr:
    if size is not None:
        return runtime("UpsampleByMask", size)(*inputs)
    none = OMIT if not any(extra) else brief(extra)
    return runtime("UpsampleByMask", factor=unless(brief(factor), 1), extra=none)(*inputs)
