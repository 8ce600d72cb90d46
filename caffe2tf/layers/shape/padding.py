"""Padding: padding or cropping of images by the same number of rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from caffe2tf.errors import LayerError
from caffe2tf.ir.expr import Expr, keras
from caffe2tf.ir.layer import Arrangement, Context, Layer
from caffe2tf.ir.layout import Layout
from caffe2tf.ir.shape import Shape, format_shape
from caffe2tf.ir.value import Value
from caffe2tf.layers.registry import register
from caffe2tf.layers.shape.split import forbid_in_place
from caffe2tf.layers.window import brief

if TYPE_CHECKING:
    from caffe2tf.parse import LayerDefinition as LayerProto

__all__ = ["Padding"]


@register("Padding")
@dataclass(frozen=True, slots=True, kw_only=True)
class Padding(Layer):
    """Adds rows and columns of zeros around an image, or removes rows and columns of it (DeepLab).

    1. If `pad_beg` and `pad_end` are 0 or more, `pad_beg` rows of zeros are added above the image and `pad_end` rows
       below it, and as many columns on the left and on the right.
    2. If both are 0 or less, as many rows and columns are removed.
    3. One greater than 0 and one less than 0 is an error.

    The layer cannot work in place.

    | parameter (``padding_param``) | default | meaning |
    |---|---|---|
    | pad_beg | 0 | rows added above and columns added on the left; removed if it is negative |
    | pad_end | 0 | rows added below and columns added on the right; removed if it is negative |

    Bottoms: one, (N, C, H, W). Tops: one, (N, C, H + pad_beg + pad_end, W + pad_beg + pad_end). Trained blobs: none.

    Source: ``src/caffe/layers/padding_layer.cpp`` of github.com/TheLegendAli/DeepLab-Context.
    """

    before: int
    after: int

    @classmethod
    def read(cls, proto: LayerProto) -> Self:
        """Read ``padding_param``; both numbers must have the same sign."""
        forbid_in_place(proto)
        p = proto.message.padding_param
        before, after = p.pad_beg, p.pad_end
        if before * after < 0:
            raise LayerError(
                "padding_param.pad_beg and pad_end must both be 0 or more, or both be 0 or less, not "
                f"{before} and {after}"
            )
        return cls(before=before, after=after)

    def infer(self, *inputs: Shape) -> tuple[Shape, ...]:
        """Add the padding to the height and width of the bottom."""
        shape = inputs[0]
        if len(shape) != 4:
            raise LayerError(f"Padding takes a bottom of 4 axes (N, C, H, W), not {format_shape(shape)}")
        total = self.before + self.after
        if any(n is not None and n + total < 1 for n in shape[2:]):
            raise LayerError(
                f"pad_beg ({self.before}) and pad_end ({self.after}) leave nothing of {format_shape(shape[2:])}"
            )
        return ((*shape[:2], *(None if n is None else n + total for n in shape[2:])),)

    def arrange(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Arrangement:
        """Use NHWC, as Keras' layers of padding and cropping do."""
        del inputs, outputs
        last = Layout.channels_last(4)
        return Arrangement(inputs=(last,), outputs=(last,))

    def emit(self, ctx: Context, *inputs: Value) -> Expr:
        """Emit ZeroPadding2D, or Cropping2D for negative numbers; nothing if both are 0."""
        del ctx
        x = inputs[0]
        if self.before == self.after == 0:
            return x
        kind = "Cropping2D" if min(self.before, self.after) < 0 else "ZeroPadding2D"
        sides = (abs(self.before), abs(self.after))
        return keras(kind, brief([sides[0], sides[0]]) if sides[0] == sides[1] else (sides, sides))(x)
