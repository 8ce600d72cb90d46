"""Upsample and Unpooling: images made larger by the mask of a max pooling, or by repeating values."""

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
from caffe2tf.layers.checks import check_count
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
    """Values moved back to their positions before a max pooling, by its mask; or values repeated, without a mask.

    - Two bottoms (SegNet, ENet): the mask is the second top of a Pooling. It gives the position of each value in its
      channel of the output, ``row * width + column``; -1 gives none. Positions without a value are 0. If several values
      have the same position, the last one stays. A position outside the output is an error when the model runs, as in
      Caffe.
    - One bottom (forks for YOLO): each value is repeated `scale` times along height and width.

    | parameter (``upsample_param``) | default | meaning |
    |---|---|---|
    | scale | 2; 1 with one bottom | output extents are ``n * scale`` |
    | scale_h, scale_w | scale | with a mask: scale of each axis, in place of scale |
    | pad_out_h, pad_out_w | false | with a mask: one row or column less; for a scale of 2 only |
    | upsample_h, upsample_w | | with a mask: the output extents; then the other parameters have no effect |

    Bottoms: (N, C, H, W), and optionally a mask of the same shape. Tops: one, (N, C, H', W'). Trained blobs: none.

    Source: with a mask ``alexgkendall/caffe-segnet``, without one ``eric612/MobileNet-YOLO``, both
    ``src/caffe/layers/upsample_layer.cpp``.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)

    masked: bool
    scale: Pair
    pad_out: Pair = (0, 0)
    size: Pair | None = None

    def remarks(self) -> tuple[str, ...]:
        """Return which of the two layers of this name it is."""
        if self.masked:
            return ("this Upsample has two bottoms, as in SegNet: it moves values by a mask",)
        return ("this Upsample has one bottom, as in YOLO: it repeats values",)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``upsample_param``, whose fields depend on whether there is a mask."""
        p = proto.message.upsample_param
        masked = len(proto.bottoms) > 1
        if masked:
            return cls(masked=True, **_masked(p))
        if foreign := [f for f, _ in p.ListFields() if f.name != "scale"]:
            raise LayerError(
                f"upsample_param.{foreign[0].name} is for an Upsample with a mask; "
                "add the mask, which is the second top of a max Pooling, as the second bottom"
            )
        scale = p.scale if p.HasField("scale") else 1
        check_count("upsample_param.scale", scale)
        return cls(masked=False, scale=(scale, scale))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the top, with the size given or a multiple of the bottom's size."""
        if self.masked:
            _check_mask(*inputs)
        elif len(inputs[0]) != 4:
            raise LayerError(f"Upsample takes an input of 4 axes (N, C, H, W), not {format_shape(inputs[0])}")
        if self.size is not None:
            return ((*inputs[0][:2], *self.size),)
        extents = zip(inputs[0][2:], self.scale, self.pad_out, strict=True)
        return ((*inputs[0][:2], *(None if n is None else n * s - p for n, s, p in extents)),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC for all bottoms and the top."""
        del outputs
        return Arrangement(inputs=(Layout.channels_last(4),) * len(inputs), outputs=(Layout.channels_last(4),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit Keras' UpSampling2D, or a runtime layer for a mask; nothing for a scale of 1."""
        del ctx
        if self.masked:
            extra = (-self.pad_out[0], -self.pad_out[1])
            return _by_mask(inputs, self.size, factor=self.scale, extra=extra)
        return inputs[0] if self.scale == (1, 1) else keras("UpSampling2D", brief(self.scale))(inputs[0])


@register("Unpooling")
@dataclass(frozen=True, slots=True, kw_only=True)
class Unpooling(Layer):
    """Values moved back to their positions before a max pooling, by its mask; 0 elsewhere.

    The mask is the second top of a Pooling, with the meaning that it has for Upsample. Output extents are
    ``(n - 1) * stride + kernel - 2 * pad``.

    | parameter (``pooling_param``) | default | meaning |
    |---|---|---|
    | pool | MAX | no other is supported |
    | kernel_size, or kernel_h and kernel_w | required | kernel of the pooling; not with global_pooling |
    | stride, or stride_h and stride_w | 1 | stride of the pooling |
    | pad, or pad_h and pad_w | 0 | padding of the pooling |
    | global_pooling | false | output extents are ``2 * n - 1`` |

    Bottoms: values and mask, both (N, C, H, W). Tops: one, (N, C, H', W'). Trained blobs: none.

    Source: forks; BVLC has no such layer. Several forks have different layers of this name. This is the one with
    ``pooling_param`` and two bottoms.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)

    factor: Pair
    extra: Pair

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``pooling_param``, the parameters of the pooling that the layer undoes."""
        pooling = Pooling.read(proto)
        if pooling.method != "MAX" or pooling.same or pooling.after is not None:
            raise LayerUnsupportedError("Unpooling supports MAX pooling with the same padding on both sides only")
        if pooling.kernel is None:  # the kernel is the size of the input
            return cls(factor=(2, 2), extra=(-1, -1))
        windows = zip(pooling.kernel, pooling.stride, pooling.pad, strict=True)
        (down, below), (across, right) = ((s, k - s - 2 * p) for k, s, p in windows)
        return cls(factor=(down, across), extra=(below, right))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the pooling's input, if all its windows were inside it."""
        _check_mask(*inputs)
        spatial = zip(inputs[0][2:], self.factor, self.extra, strict=True)
        return ((*inputs[0][:2], *(None if n is None else n * f + e for n, f, e in spatial)),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC for all bottoms and the top."""
        del inputs, outputs
        return Arrangement(inputs=(Layout.channels_last(4),) * 2, outputs=(Layout.channels_last(4),))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer; Keras cannot move values by a mask."""
        del ctx
        return _by_mask(inputs, None, factor=self.factor, extra=self.extra)


def _masked(p: UpsampleParameter) -> dict[str, Any]:
    """Read the attributes of an Upsample with a mask.

    Raises:
        LayerError: the parameters contradict each other or are too small.
    """
    sized = p.HasField("upsample_h") and p.HasField("upsample_w")
    pair = p.HasField("scale_h") and p.HasField("scale_w") and not p.HasField("scale")
    if not (sized or pair or not (p.HasField("scale_h") or p.HasField("scale_w"))):
        raise LayerError(
            "give upsample_param both upsample_h and upsample_w, or only scale, or both scale_h and scale_w"
        )
    if sized:
        if min(p.upsample_h, p.upsample_w) < 2:
            raise LayerError(f"upsample_h and upsample_w must be 2 or more, not {p.upsample_h} and {p.upsample_w}")
        return {"scale": (1, 1), "size": (p.upsample_h, p.upsample_w)}
    scale = (p.scale_h, p.scale_w) if pair else (p.scale, p.scale)
    if min(scale) < 2:
        raise LayerError(f"Upsample's scale must be 2 or more along both axes, not {brief(scale)}")
    for axis, factor in zip("hw", scale, strict=True):
        if getattr(p, f"pad_out_{axis}") and factor != 2:
            raise LayerError(f"pad_out_{axis} needs a scale of 2, not {factor}; give upsample_h and upsample_w instead")
    return {"scale": scale, "pad_out": (int(p.pad_out_h), int(p.pad_out_w))}


def _check_mask(x: Shape, mask: Shape) -> None:
    """Check that values and mask have the same shape of 4 axes."""
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
