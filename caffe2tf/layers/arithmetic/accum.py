"""Accum: resizes images to one size and concatenates their channels (FlowNet)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, keras, runtime
from caffe2tf.ir.layer import Arrangement, Batch, Context, Layer, same_batch
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.resizing.resize_base import image_size

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Accum"]


@register("Accum")
@dataclass(frozen=True, slots=True, kw_only=True)
class Accum(Layer):
    """Bilinear interpolation of all bottoms to one size, with aligned corners; the channels are concatenated.

    The size of the top is, in this order:

    1. With `have_reference`: that of the last bottom, which is not concatenated. Its values do not matter.
    2. With `size_divisible_by`: the largest height and the largest width of the bottoms, each rounded up to a multiple
       of it. Without: (`top_height`, `top_width`). Either applies only if its height *and* its width are greater than
       the largest of the bottoms.
    3. The largest height and the largest width of the bottoms.

    Both extents must be 2 or more, as Caffe divides by the extent minus 1.

    | parameter (``accum_param``) | default | meaning |
    |---|---|---|
    | have_reference | false | the last bottom states the size |
    | size_divisible_by | none | round the largest extents up to multiples of it |
    | top_height, top_width | 0 | the size, without `size_divisible_by` |

    Bottoms: one or more, (N, C, H, W), of any C, H and W; with `have_reference` another one, of any N, too. Tops: one,
    (N, sum of C, H', W').

    Trained blobs: none.

    Source: ``src/caffe/layers/accum_layer.cpp`` of github.com/lmb-freiburg/flownet2.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, None)

    have_reference: bool
    divisor: int | None
    stated: tuple[int, int]

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``accum_param``."""
        p = proto.message.accum_param
        if p.have_reference and len(proto.bottoms) < 2:
            raise LayerError("accum_param.have_reference needs two bottoms or more, the last of which is the reference")
        divisor = p.size_divisible_by if p.HasField("size_divisible_by") else None
        if divisor == 0 and not p.have_reference:
            raise LayerError("accum_param.size_divisible_by must be 1 or more, not 0; or remove it")
        return cls(have_reference=p.have_reference, divisor=divisor, stated=(p.top_height, p.top_width))

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Return the size of the top with the channels of all bottoms but the reference."""
        sizes = [image_size(s) for s in inputs]
        height, width = size = sizes[-1] if self.have_reference else self._size(sizes)
        joined = self._joined(inputs)
        batches = {s[0] for s in joined} - {None}
        if len(batches) > 1:
            listed = ", ".join(format_shape(s) for s in joined)
            raise LayerError(f"all concatenated bottoms must have the same batch size; their shapes are {listed}")
        if 1 in size:
            raise LayerError(
                "height and width of the top of an Accum must be 2 or more, as Caffe divides by each minus 1; "
                f"they are {format_shape(size)}"
            )
        channels = [s[1] for s in joined]
        total = None if None in channels else sum(c or 0 for c in channels)
        return ((joined[0][0], total, height, width),)

    def trace_batch(self, batched: Sequence[bool], inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Batch:
        """Keep the batch of the concatenated bottoms; that of the reference does not matter."""
        joined = self._joined(inputs)
        flags = batched[: len(joined)]
        if not any(flags):
            return Batch.ABSENT
        return Batch.kept_if(all(flags) and same_batch(*joined, *outputs))

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC, but any layout for the reference, whose values are not read."""
        layout = Layout.channels_last(4)
        layouts = [layout] * len(inputs)
        if self.have_reference:
            layouts[-1] = inputs[-1].layout
        return Arrangement(inputs=tuple(layouts), outputs=(layout,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit a runtime layer for each bottom of another size, then Keras' Concatenate."""
        size = image_size(ctx.outputs[0].shape)
        joined = inputs[:-1] if self.have_reference else inputs
        several = len(joined) > 1
        resized = [
            x
            if image_size(x.shape) == size
            else runtime("ResizeAligned", size, role=f"resize_{i}" if several else "")(x)
            for i, x in enumerate(joined)
        ]
        return keras("Concatenate", axis=3)(*resized) if several else resized[0]

    def _joined(self, shapes: Sequence[Shape]) -> Sequence[Shape]:
        return shapes[:-1] if self.have_reference else shapes

    def _size(self, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Return the size of the top without a reference."""
        height, width = (max(extents) for extents in zip(*sizes, strict=True))
        wanted = self.stated
        if self.divisor:
            wanted = (-(-height // self.divisor) * self.divisor, -(-width // self.divisor) * self.divisor)
        return wanted if wanted[0] > height and wanted[1] > width else (height, width)
