"""Interp: bilinear interpolation between corners that stay corners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from caffe2tf.errors import LayerError, LayerUnsupportedError
from caffe2tf.ir.expr import Expr, keras, runtime, unless
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer, same_batch
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.extents import known
from caffe2tf.layers.registry import register

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto
    from caffe2tf.parse import Parameters
    from caffe2tf.proto.caffe_pb2 import InterpParameter

__all__ = ["Interp"]


@register("Interp")
@dataclass(frozen=True, slots=True, kw_only=True)
class Interp(Layer):
    """Bilinear interpolation, in which the values at the corners stay those at the corners (DeepLab, PSPNet).

    Output index i lies at ``i * (n - 1) / (m - 1)`` of n input values, where m is the count of output values, and at
    0 where m is 1.

    | parameter | default | meaning |
    |---|---|---|
    | shrink_factor | 1 | ``m = (n - 1) / shrink_factor + 1``, rounded down; 1 or more |
    | zoom_factor | 1 | ``m = n + (n - 1) * (zoom_factor - 1)``; 1 or more; with shrink_factor, after it |
    | height, width | 0 | m of each axis; they count where not exactly one of the two factors is given |
    | pad_beg, pad_end | 0 | before anything else, minus this many rows and columns are cut off; 0 or less |
    | use_blob_size | false | m of each axis is a second bottom's extent; of one fork |
    | full_zoom_factor | 1 | ``m = n * full_zoom_factor``, where nothing else is given; of Synopsys' fork |
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)
    reads_unknown: ClassVar[tuple[str, ...]] = ("interp_param",)

    size: tuple[int, int] | None = None
    like: bool = False
    shrink: int = 1
    zoom: int = 1
    full_zoom: int | None = None
    crop: tuple[int, int] = (0, 0)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """The one way in which the size is given."""
        p = proto.message.interp_param
        more = proto.extra.block("interp_param").only("use_blob_size", "full_zoom_factor")
        for name in ("pad_beg", "pad_end"):
            if getattr(p, name) > 0:
                raise LayerError(f"interp_param.{name} must be 0 or less (it cuts off), not {getattr(p, name)}")
        crop = (-p.pad_beg, -p.pad_end)
        like = more.boolean("use_blob_size")
        if len(proto.bottoms) != 1 + like:
            raise LayerError(
                f"Interp takes one bottom, and with use_blob_size a second one, whose size it takes; "
                f"{len(proto.bottoms)} are given"
            )
        return cls(like=True, crop=crop) if like else cls(crop=crop, **_read_size(p, more))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The size in one of the ways to give it."""
        shape = inputs[0]
        if len(shape) != 4 or (self.like and len(inputs[1]) != 4):
            given = " and ".join(format_shape(s) for s in inputs)
            raise LayerUnsupportedError(f"Interp is implemented for bottoms of 4 axes (N, C, H, W), not {given}")
        within = self._within(shape)
        if any(n is not None and n < 1 for n in within):
            raise LayerError(
                f"pad_beg ({-self.crop[0]}) and pad_end ({-self.crop[1]}) leave nothing of {format_shape(shape[2:])}"
            )
        if self.like:
            return ((*shape[:2], *known(inputs[1][2:], "the size of Interp's second bottom")),)
        if self.size is not None:
            return ((*shape[:2], *self.size),)
        return ((*shape[:2], *(None if n is None else self._extent(n) for n in within)),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """The first bottom decides: of a second one, only height and width matter."""
        if not batched[0]:
            return Batch.ABSENT
        return Batch.kept_if(same_batch(inputs[0], *outputs))

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Channels last; of a second bottom, only the extents are looked at."""
        del outputs
        last = Layout.channels_last(4)
        return Arrangement(inputs=(last, *(v.layout for v in inputs[1:])), outputs=(last,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """A layer of our own, after Keras' Cropping2D where something is cut off."""
        shape, out = inputs[0].shape, ctx.outputs[0].shape
        x: Expr = inputs[0]
        unchanged = self._within(shape) == out[2:] and (None not in out[2:] or self.shrink == self.zoom == 1)
        if any(self.crop):
            crop = keras("Cropping2D", (self.crop, self.crop), role="" if unchanged else "crop")
            x = crop(x)
        if unchanged:
            return x
        if self.size is not None or self.like or self.full_zoom is not None:
            return runtime("Interp", known(out[2:], "the size that Interp gives"))(x)
        return runtime("Interp", shrink=unless(self.shrink, 1), zoom=unless(self.zoom, 1))(x)

    def _within(self, shape: Shape) -> Shape:
        return tuple(None if n is None else n - sum(self.crop) for n in shape[2:])

    def _extent(self, n: int) -> int:
        if self.full_zoom is not None:
            return n * self.full_zoom
        return (n - 1) // self.shrink * self.zoom + 1


def _read_size(p: InterpParameter, more: Parameters) -> dict[str, Any]:
    """The attributes by which the size is given; of several ways Caffe takes the first."""
    shrinks, zooms = p.HasField("shrink_factor"), p.HasField("zoom_factor")
    if shrinks == zooms and p.HasField("height") and p.HasField("width"):
        if min(p.height, p.width) < 1:
            raise LayerError(f"interp_param's height and width must be 1 or more, not {p.height} and {p.width}")
        return {"size": (p.height, p.width)}
    if shrinks or zooms:
        for name in ("shrink_factor", "zoom_factor"):
            if getattr(p, name) < 1:
                raise LayerError(f"interp_param.{name} must be 1 or more, not {getattr(p, name)}")
        return {"shrink": p.shrink_factor, "zoom": p.zoom_factor}
    if "full_zoom_factor" in more:
        return {"full_zoom": more.whole_number("full_zoom_factor", least=1)}
    raise LayerError("Interp needs a size: give interp_param both height and width, or zoom_factor or shrink_factor")
