"""Interp: bilinear interpolation with aligned corners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

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

_SIZES: Final = ("height", "width", "shrink_factor", "zoom_factor")
_MORE_SIZES: Final = ("full_zoom_factor",)


@register("Interp")
@dataclass(frozen=True, slots=True, kw_only=True)
class Interp(Layer):
    """Bilinear interpolation with aligned corners: the values at the corners do not change (DeepLab, PSPNet).

    Along an axis of n input and m output values, output value i lies at input position ``i * (n - 1) / (m - 1)``, or at
    0 if m is 1. The first of these that is given decides m:

    1. `use_blob_size`, or a second bottom: the extent of the second bottom
    2. `height` and `width`, unless exactly one of `shrink_factor` and `zoom_factor` is given
    3. `shrink_factor` and `zoom_factor`: ``m = floor((n - 1) / shrink_factor) * zoom_factor + 1``. If the layers that
       follow do not fit this size, but fit ``m = n * zoom_factor``, all layers with `zoom_factor` alone use the latter,
       as in the training toolbox of OpenVINO; a note says so.
    4. `full_zoom_factor`: ``m = n * full_zoom_factor``

    | parameter (``interp_param``) | default | meaning |
    |---|---|---|
    | shrink_factor | 1 | factor by which the image shrinks; 1 or more |
    | zoom_factor | 1 | factor by which the image then grows; 1 or more |
    | height, width | | size of the output |
    | pad_beg, pad_end | 0 | minus the number of rows and columns cropped first; 0 or less |
    | use_blob_size | false | resize to the size of the second bottom, whatever else is given; a field of one fork |
    | full_zoom_factor | | factor by which the image grows; a field of Synopsys' fork |

    Bottoms: one, (N, C, H, W), or two, the second one (any, any, H', W'), of which only the height and width matter.
    Without `use_blob_size`, a second bottom must have the batch size of the first, and `height`, `width`,
    `shrink_factor` and `zoom_factor` must be absent. Tops: one, (N, C, H', W'). Trained blobs: none.

    Source: DeepLab's fork, for example ``gpapan/caffe``, ``src/caffe/layers/interp_layer.cpp``.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 2)
    reads_unknown: ClassVar[tuple[str, ...]] = ("interp_param",)

    size: tuple[int, int] | None = None
    like: bool = False
    same_batch: bool = False
    shrink: int = 1
    zoom: int = 1
    full_zoom: int | None = None
    crop: tuple[int, int] = (0, 0)

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``interp_param``, and which way of giving the size it uses."""
        p = proto.message.interp_param
        more = proto.extra.block("interp_param").only("use_blob_size", "full_zoom_factor")
        for name in ("pad_beg", "pad_end"):
            if getattr(p, name) > 0:
                raise LayerError(f"interp_param.{name} must be 0 or less (it crops), not {getattr(p, name)}")
        crop = (-p.pad_beg, -p.pad_end)
        like = more.boolean("use_blob_size")
        if like and len(proto.bottoms) == 1:
            raise LayerError("Interp takes with use_blob_size a second bottom for the size; 1 bottom is given")
        if not like and len(proto.bottoms) > 1:
            stated = [name for name in _SIZES if p.HasField(name)] + [n for n in more if n in _MORE_SIZES]
            if stated:
                raise LayerError(
                    f"Interp takes its size from a second bottom, and interp_param.{stated[0]} gives another one; "
                    "remove one of them"
                )
            return cls(like=True, same_batch=True, crop=crop)
        return cls(like=True, crop=crop) if like else cls(crop=crop, **_read_size(p, more))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the shape of the top, with the size that the parameters or the second bottom give."""
        shape = inputs[0]
        if len(shape) != 4 or (self.like and len(inputs[1]) != 4):
            given = " and ".join(format_shape(s) for s in inputs)
            raise LayerUnsupportedError(f"Interp supports bottoms of 4 axes (N, C, H, W), not {given}")
        within = self._within(shape)
        if any(n is not None and n < 1 for n in within):
            raise LayerError(
                f"pad_beg ({-self.crop[0]}) and pad_end ({-self.crop[1]}) leave nothing of {format_shape(shape[2:])}"
            )
        if self.same_batch and None not in (shape[0], inputs[1][0]) and shape[0] != inputs[1][0]:
            raise LayerError(f"both bottoms of Interp must have the same batch size, not {shape[0]} and {inputs[1][0]}")
        if self.like:
            return ((*shape[:2], *known(inputs[1][2:], "the size of Interp's second bottom")),)
        if self.size is not None:
            return ((*shape[:2], *self.size),)
        return ((*shape[:2], *(None if n is None else self._extent(n) for n in within)),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Follow the first bottom; of the second, only height and width matter."""
        if not batched[0]:
            return Batch.ABSENT
        return Batch.kept_if(same_batch(inputs[0], *outputs))

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC; keep the layout of a second bottom, whose values are not read."""
        del outputs
        last = Layout.channels_last(4)
        return Arrangement(inputs=(last, *(v.layout for v in inputs[1:])), outputs=(last,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer, because Keras does not align corners; before it Cropping2D if something is cropped."""
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
    """Read the attributes that give the size; if several ways are given, Caffe uses the first."""
    shrinks, zooms = p.HasField("shrink_factor"), p.HasField("zoom_factor")
    if shrinks == zooms and p.HasField("height") and p.HasField("width"):
        if min(p.height, p.width) < 1:
            raise LayerError(f"interp_param.height and width must be 1 or more, not {p.height} and {p.width}")
        return {"size": (p.height, p.width)}
    if shrinks or zooms:
        for name in ("shrink_factor", "zoom_factor"):
            if getattr(p, name) < 1:
                raise LayerError(f"interp_param.{name} must be 1 or more, not {getattr(p, name)}")
        return {"shrink": p.shrink_factor, "zoom": p.zoom_factor}
    if "full_zoom_factor" in more:
        return {"full_zoom": more.whole_number("full_zoom_factor", least=1)}
    raise LayerError(
        "Interp needs a size: give both height and width, or zoom_factor or shrink_factor, in interp_param"
    )
